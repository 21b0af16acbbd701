from __future__ import annotations

import ctypes

import pytest

from nodeproof.sevsnp.certtable import TableEntry, build_certificate_table
from nodeproof_agent.providers.sev_guest_abi import (
    ExtendedReportRequest,
    GuestRequest,
    ReportRequest,
    ReportResponse,
    Request,
    certificate_table,
)

TABLE = build_certificate_table({TableEntry.VCEK: b"vcek", TableEntry.ARK: b"ends in zeros\0\0"})


@pytest.mark.parametrize(
    ("structure", "size"),
    [
        (ReportRequest, 96),
        (ExtendedReportRequest, 112),
        (ReportResponse, 4000),
        (GuestRequest, 32),
    ],
)
def test_a_structure_has_the_size_that_the_driver_copies(
    structure: type[ctypes.Structure], size: int
) -> None:
    assert ctypes.sizeof(structure) == size


def test_ioctl_numbers_are_those_of_x86_64() -> None:
    assert (Request.SNP_GET_REPORT, Request.SNP_GET_EXT_REPORT) == (0xC0205300, 0xC0205302)


def test_finds_the_report_in_the_firmware_s_answer() -> None:
    answer = ReportResponse.from_buffer_copy(
        bytes(4) + (1184).to_bytes(4, "little") + bytes(24) + b"R" * 1184 + bytes(2784)
    )
    assert (answer.status, answer.report_size) == (0, 1184)
    assert bytes(answer.report) == b"R" * 1184


@pytest.mark.parametrize("size", [len(TABLE), 4096, 16384])
def test_a_certificate_table_loses_only_the_zeros_behind_it(size: int) -> None:
    assert certificate_table(TABLE.ljust(size, b"\0")) == TABLE


def test_a_table_reaches_to_its_farthest_certificate() -> None:
    in_another_order = TABLE[24:48] + TABLE[:24] + TABLE[48:]
    assert certificate_table(in_another_order.ljust(4096, b"\0")) == in_another_order


@pytest.mark.parametrize("size", [0, 4096, 16384])
def test_a_buffer_that_the_host_left_alone_holds_no_table(size: int) -> None:
    assert certificate_table(bytes(size)) == b""


@pytest.mark.parametrize("buffer", [b"\xff" * 4096, b"\xff" * 24, TABLE[:24].ljust(48, b"\1")])
def test_what_is_no_table_is_passed_on_whole(buffer: bytes) -> None:
    assert certificate_table(buffer) == buffer


def test_an_entry_that_points_outside_does_not_enlarge_the_table() -> None:
    entry = TableEntry.VCEK.value.bytes + b"\xff" * 8
    assert certificate_table(entry.ljust(4096, b"\0")) == entry.ljust(4096, b"\0")
