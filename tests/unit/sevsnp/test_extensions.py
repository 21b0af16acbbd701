from __future__ import annotations

import pytest
from cryptography import x509

from nodeproof.errors import ChainInvalid
from nodeproof.sevsnp.extensions import AMD_ARC, VEKExtensions, parse_vek_extensions
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator.issuing import vcek_extensions
from nodeproof.sevsnp.tcb import TCBVersion

CHIP = bytes(range(2, 66))
MILAN = vcek_extensions(Product.MILAN, CHIP, TCBVersion(None, 4, 0, 27, 0xDE))
TURIN = vcek_extensions(Product.TURIN, CHIP, TCBVersion(1, 1, 1, 4, 0x51))
HW_ID = f"{AMD_ARC}.4"


def parse(raw: dict[str, bytes], *more: x509.Extension[x509.ExtensionType]) -> VEKExtensions:
    extensions = [
        x509.Extension(oid, False, x509.UnrecognizedExtension(oid, value))  # noqa: FBT003
        for oid, value in ((x509.ObjectIdentifier(oid), value) for oid, value in raw.items())
    ]
    return parse_vek_extensions(x509.Extensions([*extensions, *more]))


def test_reads_a_vcek_of_milan() -> None:
    extensions = parse(MILAN)
    assert (extensions.struct_version, extensions.product_name) == (0, "Milan-B0")
    tcb = extensions.tcb
    assert (tcb.bootloader, tcb.snp, tcb.microcode) == (4, 27, 0xDE)
    assert tcb.fmc is None
    assert extensions.hw_id == CHIP


def test_reads_a_vcek_of_turin() -> None:
    extensions = parse(TURIN)
    assert (extensions.struct_version, extensions.tcb.fmc) == (1, 1)
    assert extensions.hw_id == CHIP[:8]


def test_the_order_does_not_matter() -> None:
    assert parse(dict(reversed(MILAN.items()))) == parse(MILAN)


@pytest.mark.parametrize("size", [64, 8])
def test_unwraps_a_hw_id_in_an_octet_string(size: int) -> None:
    wrapped = bytes((4, size)) + CHIP[:size]
    assert parse({**MILAN, HW_ID: wrapped}).hw_id == CHIP[:size]


@pytest.mark.parametrize("chip", [b"\x04\x3e" + CHIP[:62], b"\x04\x06" + CHIP[:6]])
def test_a_raw_hw_id_may_begin_like_an_octet_string(chip: bytes) -> None:
    assert parse({**MILAN, HW_ID: chip}).hw_id == chip


@pytest.mark.parametrize("oid", [oid for oid in MILAN if oid != HW_ID])
def test_refuses_a_vek_that_lacks_an_extension(oid: str) -> None:
    with pytest.raises(ChainInvalid):
        parse({name: value for name, value in MILAN.items() if name != oid})


def test_refuses_a_turin_vek_without_fmc() -> None:
    with pytest.raises(ChainInvalid, match="fmcSPL"):
        parse({name: value for name, value in TURIN.items() if name != f"{AMD_ARC}.3.9"})


def test_refuses_an_fmc_before_turin() -> None:
    with pytest.raises(ChainInvalid, match="security versions"):
        parse({**MILAN, f"{AMD_ARC}.3.9": b"\x02\x01\x00"})


@pytest.mark.parametrize("number", [4, 5, 6, 7])
def test_refuses_unused_security_versions(number: int) -> None:
    with pytest.raises(ChainInvalid, match="unused"):
        parse({**MILAN, f"{AMD_ARC}.3.{number}": b"\x02\x01\x01"})


@pytest.mark.parametrize("oid", [f"{AMD_ARC}.6", f"{AMD_ARC}.3.10", "1.2.3.4"])
def test_refuses_extensions_that_no_vek_has(oid: str) -> None:
    with pytest.raises(ChainInvalid, match=oid):
        parse({**MILAN, oid: b"\x02\x01\x00"})


def test_refuses_a_vek_that_may_sign_certificates() -> None:
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    with pytest.raises(ChainInvalid, match="no VEK has"):
        parse(MILAN, x509.Extension(constraints.oid, False, constraints))  # noqa: FBT003


def test_passes_over_a_key_identifier() -> None:
    identifier = x509.AuthorityKeyIdentifier(bytes(20), None, None)
    extension = x509.Extension(identifier.oid, False, identifier)  # noqa: FBT003
    assert parse(MILAN, extension) == parse(MILAN)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x02",
        b"\x02\x01",
        b"\x02\x00",
        b"\x02\x01\x80",  # negative
        b"\x02\x02\x00\x7f",  # longer than needed
        b"\x02\x02\x01\x00",  # 256
        b"\x04\x01\x00",
        b"\x02\x01\x00\x00",
        b"\x02\x81\x01\x00",
    ],
)
def test_refuses_integers_that_are_not_der_or_not_a_byte(value: bytes) -> None:
    with pytest.raises(ChainInvalid, match="wrongly encoded"):
        parse({**MILAN, f"{AMD_ARC}.3.1": value})


@pytest.mark.parametrize(
    "value", [b"", b"\x16", b"\x16\x05Mila", b"\x0c\x05Milan", b"\x16\x01\xff", b"\x16\x80"]
)
def test_refuses_a_product_name_that_is_no_ia5_string(value: bytes) -> None:
    with pytest.raises(ChainInvalid, match="productName"):
        parse({**MILAN, f"{AMD_ARC}.2": value})


def test_refuses_an_unknown_structure() -> None:
    with pytest.raises(ChainInvalid, match="structVersion 0 or 1, observed 2"):
        parse({**MILAN, f"{AMD_ARC}.1": b"\x02\x01\x02"})
