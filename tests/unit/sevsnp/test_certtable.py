from __future__ import annotations

import struct
from uuid import UUID

import pytest

from nodeproof.errors import CertificateMalformed
from nodeproof.sevsnp.certtable import TableEntry, build_certificate_table, parse_certificate_table

VCEK = TableEntry.VCEK.value.bytes
STRANGER = UUID("ecae0c0f-9502-43b1-afa2-0ae2e0d565b6").bytes
END = bytes(24)


def entry(guid: bytes, offset: int, length: int) -> bytes:
    return guid + struct.pack("<II", offset, length)


def test_returns_what_was_put_in() -> None:
    certificates = {TableEntry.VCEK: b"leaf", TableEntry.ASK: b"middle", TableEntry.ARK: b"root"}
    assert parse_certificate_table(build_certificate_table(certificates)) == (
        b"leaf",
        b"middle",
        b"root",
    )


@pytest.mark.parametrize("data", [b"", END, END * 10])
def test_a_table_may_be_empty(data: bytes) -> None:
    assert parse_certificate_table(data) == ()


def test_guids_are_written_as_they_are_read() -> None:
    assert build_certificate_table({TableEntry.VCEK: b""})[:4] == bytes.fromhex("63da758d")


def test_passes_over_entries_of_others() -> None:
    table = entry(STRANGER, 72, 4) + entry(VCEK, 76, 4) + END + b"hoststak"
    assert parse_certificate_table(table) == (b"stak",)


@pytest.mark.parametrize("offset", [0, 24, 47])
def test_refuses_entries_that_point_into_the_header(offset: int) -> None:
    with pytest.raises(CertificateMalformed, match="points outside"):
        parse_certificate_table(entry(VCEK, offset, 1) + END + b"leaf")


@pytest.mark.parametrize(("offset", "length"), [(48, 5), (53, 0), (2**32 - 1, 2), (48, 2**32 - 1)])
def test_refuses_entries_that_point_behind_the_end(offset: int, length: int) -> None:
    with pytest.raises(CertificateMalformed, match="points outside"):
        parse_certificate_table(entry(VCEK, offset, length) + END + b"leaf")


def test_refuses_two_certificates_of_one_kind() -> None:
    table = entry(VCEK, 72, 2) + entry(VCEK, 74, 2) + END + b"leaf"
    with pytest.raises(CertificateMalformed, match="ambiguous"):
        parse_certificate_table(table)


@pytest.mark.parametrize("data", [b"\x00", END[:-1], entry(VCEK, 24, 0)])
def test_refuses_a_table_without_end(data: bytes) -> None:
    with pytest.raises(CertificateMalformed, match="no end"):
        parse_certificate_table(data)


def test_refuses_a_table_that_is_too_large() -> None:
    with pytest.raises(CertificateMalformed, match="too large"):
        parse_certificate_table(bytes(64 * 1024 + 1))
