"""Our structures and numbers beside those that the compiler takes from ``<linux/sev-guest.h>``."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import partial

import pytest

from nodeproof_agent.providers import sev_guest_abi as abi
from nodeproof_dev.sev_guest_shim import compile_shim, why_not

pytestmark = pytest.mark.cc


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if reason := why_not():
        pytest.skip(reason)
    return ctypes.CDLL(str(compile_shim(tmp_path_factory.mktemp("shim"))))


class Field(ctypes.Structure):
    """One line of the shim's table of what the kernel's header says."""

    structure: bytes
    name: bytes
    offset: int
    size: int

    _fields_ = (
        ("structure", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("offset", ctypes.c_ulong),
        ("size", ctypes.c_ulong),
    )


OURS: Mapping[str, type[ctypes.Structure]] = {
    "snp_report_req": abi.ReportRequest,
    "snp_ext_report_req": abi.ExtendedReportRequest,
    "snp_report_resp": abi.ReportResponse,
    "snp_guest_request_ioctl": abi.GuestRequest,
}


def header_fields(library: ctypes.CDLL) -> list[Field]:
    count = ctypes.c_ulong.in_dll(library, "sev_guest_field_count").value
    return list((Field * count).in_dll(library, "sev_guest_fields"))


def test_our_structures_are_laid_out_as_in_the_kernel_s_header(library: ctypes.CDLL) -> None:
    fields = header_fields(library)
    assert {each.structure.decode() for each in fields} == OURS.keys()
    for each in fields:
        ours = OURS[each.structure.decode()]
        if not each.name:
            assert ctypes.sizeof(ours) == each.size
            continue
        field = getattr(ours, each.name.decode())
        assert (field.offset, field.size) == (each.offset, each.size), each.name


def test_our_ioctl_numbers_are_those_of_the_kernel_s_header(library: ctypes.CDLL) -> None:
    number_of = partial(ctypes.c_ulong.in_dll, library)
    assert number_of("sev_guest_get_report").value == abi.Request.SNP_GET_REPORT
    assert number_of("sev_guest_get_ext_report").value == abi.Request.SNP_GET_EXT_REPORT
