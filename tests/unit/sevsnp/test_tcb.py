from __future__ import annotations

import pytest
from msgspec.structs import replace

from nodeproof.errors import ReportMalformed
from nodeproof.sevsnp.tcb import MILAN_LAYOUT, TURIN_LAYOUT, TCBLayout, TCBVersion, decode_tcb

TURIN = TCBVersion(fmc=1, bootloader=2, tee=3, snp=4, microcode=5)


def test_milan_has_no_fmc() -> None:
    tcb = decode_tcb(bytes.fromhex("04000000000018db"), MILAN_LAYOUT)
    assert tcb == TCBVersion(fmc=None, bootloader=4, tee=0, snp=0x18, microcode=0xDB)


def test_turin_begins_with_the_fmc() -> None:
    assert decode_tcb(bytes.fromhex("0102030400000005"), TURIN_LAYOUT) == TURIN


@pytest.mark.parametrize(
    ("layout", "position"),
    [
        *((MILAN_LAYOUT, position) for position in (2, 3, 4, 5)),
        *((TURIN_LAYOUT, position) for position in (4, 5, 6)),
    ],
)
def test_refuses_reserved_bytes_of_a_tcb(layout: TCBLayout, position: int) -> None:
    raw = bytearray(8)
    raw[position] = 1
    with pytest.raises(ReportMalformed, match="reserved"):
        decode_tcb(bytes(raw), layout)


def test_text_leaves_out_what_a_product_has_not() -> None:
    assert str(replace(TURIN, fmc=None)) == "bootloader=2 tee=3 snp=4 microcode=5"


def test_a_minimum_that_is_reached_lacks_nothing() -> None:
    assert TURIN.lacks({"fmc": 1, "bootloader": 2, "tee": 3, "snp": 4, "microcode": 5}) == ()
    assert TURIN.lacks({}) == ()


def test_every_component_below_a_minimum_is_named() -> None:
    assert TURIN.lacks({"fmc": 2, "bootloader": 2, "snp": 5, "microcode": 0}) == ("fmc", "snp")


def test_a_component_that_is_not_there_is_below_every_minimum() -> None:
    assert replace(TURIN, fmc=None).lacks({"fmc": 0}) == ("fmc",)
