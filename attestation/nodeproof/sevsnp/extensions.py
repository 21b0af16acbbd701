"""AMD's extensions in VEK certificates (57230 for the VCEK, 58369 for the VLEK)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography import x509

from nodeproof.errors import ChainInvalid
from nodeproof.sevsnp.tcb import TCBVersion

AMD_ARC = "1.3.6.1.4.1.3704.1"
"""The arc below which all of AMD's extensions lie."""

_STRUCT_VERSION = "structVersion"
_PRODUCT_NAME = "productName"
_HW_ID = "hwID"
_CSP_ID = "csp_id"
_SPLS = (
    "blSPL",
    "teeSPL",
    "snpSPL",
    "spl_4",
    "spl_5",
    "spl_6",
    "spl_7",
    "ucodeSPL",
    "fmcSPL",
)
"""The security versions, in the order of their OIDs."""

_NAMES = {
    x509.ObjectIdentifier(f"{AMD_ARC}.{number}"): name
    for number, name in (
        ("1", _STRUCT_VERSION),
        ("2", _PRODUCT_NAME),
        *((f"3.{number}", name) for number, name in enumerate(_SPLS, start=1)),
        ("4", _HW_ID),
        ("5", _CSP_ID),
    )
}
"""AMD's names of the extensions."""

_ALWAYS = frozenset({"blSPL", "teeSPL", "snpSPL", "ucodeSPL", "spl_5", "spl_6", "spl_7"})
_UNUSED = ("spl_4", "spl_5", "spl_6", "spl_7")
_MANDATORY: Mapping[int, frozenset[str]] = MappingProxyType(
    {
        0: _ALWAYS | {"spl_4"},
        1: _ALWAYS | {"fmcSPL"},
    }
)
"""The security versions that a certificate of each ``structVersion`` must have."""

_INTEGERS = {
    **{bytes((0x02, 1, number)): number for number in range(0x80)},
    **{bytes((0x02, 2, 0, number)): number for number in range(0x80, 0x100)},
}
"""Every DER INTEGER from 0 to 255, each in its only encoding (X.690, section 8.3)."""

_IA5_STRING = 0x16
_OCTET_STRING = 0x04
_MAX_SHORT = 0x7F
_WRAPPED_HW_ID_SIZES = (66, 10)


@dataclass(frozen=True, slots=True)
class VEKExtensions:
    """What AMD states about the processor and the firmware that a VEK belongs to."""

    struct_version: int
    product_name: str
    """The product, mostly followed by a stepping that need not be the processor's."""
    tcb: TCBVersion
    """What the key was derived for."""
    hw_id: bytes | None
    """The chip: 64 bytes, 8 on Turin; None in a VLEK."""
    csp_id: str | None
    """The cloud provider that a VLEK was issued to; None in a VCEK."""


def parse_vek_extensions(extensions: x509.Extensions) -> VEKExtensions:
    """Return what the AMD extensions of a VEK certificate say.

    Raises:
        ChainInvalid: An extension is unknown, missing, wrongly encoded or out of its range, or one
            is there that no VEK has.
    """
    raw = _raw(extensions)
    spls = {name: _integer(raw[name], name) for name in _SPLS if name in raw}
    struct_version = _integer(_mandatory(raw, _STRUCT_VERSION), _STRUCT_VERSION)
    _check_spls(spls, struct_version)
    return VEKExtensions(
        struct_version=struct_version,
        product_name=_text(_mandatory(raw, _PRODUCT_NAME), _PRODUCT_NAME),
        tcb=TCBVersion(
            fmc=spls.get("fmcSPL"),
            bootloader=spls["blSPL"],
            tee=spls["teeSPL"],
            snp=spls["snpSPL"],
            microcode=spls["ucodeSPL"],
        ),
        hw_id=_unwrapped(raw[_HW_ID]) if _HW_ID in raw else None,
        csp_id=_text(raw[_CSP_ID], _CSP_ID) if _CSP_ID in raw else None,
    )


def _raw(extensions: x509.Extensions) -> dict[str, bytes]:
    """Return the content of AMD's extensions by name; only a key identifier may be beside them."""
    raw: dict[str, bytes] = {}
    for extension in extensions:
        value, name = extension.value, _NAMES.get(extension.oid)
        if name and isinstance(value, x509.UnrecognizedExtension):
            raw[name] = value.value
        elif not isinstance(value, x509.AuthorityKeyIdentifier) or extension.critical:
            raise ChainInvalid(
                "a VEK certificate has an extension that no VEK has",
                expected="AMD's extensions only",
                observed=extension.oid.dotted_string,
            )
    return raw


def _mandatory(raw: Mapping[str, bytes], name: str) -> bytes:
    if name not in raw:
        raise ChainInvalid("a VEK certificate lacks an extension", expected=name, observed="none")
    return raw[name]


def _check_spls(spls: Mapping[str, int], struct_version: int) -> None:
    if struct_version not in _MANDATORY:
        raise ChainInvalid(
            "a VEK certificate has an unknown structure",
            expected="structVersion 0 or 1",
            observed=str(struct_version),
        )
    expected = _MANDATORY[struct_version]
    # Turin's VCEK has no spl_4; its VLEK has not been seen.
    if not expected <= spls.keys() or (struct_version == 0 and "fmcSPL" in spls):
        raise ChainInvalid(
            "a VEK certificate does not state the security versions of its structure",
            expected=", ".join(sorted(expected)),
            observed=", ".join(sorted(spls)),
        )
    if any(spls.get(name) for name in _UNUSED):
        raise ChainInvalid(
            "a VEK certificate has unused security versions set",
            expected="zero in " + ", ".join(_UNUSED),
            observed=", ".join(name for name in _UNUSED if spls.get(name)),
        )


def _integer(value: bytes, name: str) -> int:
    number = _INTEGERS.get(value)
    if number is None:
        raise ChainInvalid(
            f"{name} in a VEK certificate is wrongly encoded",
            expected="an INTEGER from 0 to 255",
            observed=value[:8].hex(),
        )
    return number


def _text(value: bytes, name: str) -> str:
    """Return a DER IA5String of at most 127 printable characters (X.690, section 8.23)."""
    content = value[2:]
    well_formed = value[:1] == bytes((_IA5_STRING,)) and value[1:2] == bytes((len(content),))
    if not well_formed or len(content) > _MAX_SHORT or not content.isascii():
        raise ChainInvalid(
            f"{name} in a VEK certificate is wrongly encoded",
            expected="an IA5String",
            observed=value[:8].hex(),
        )
    return content.decode("ascii")


def _unwrapped(value: bytes) -> bytes:
    """Return a hwID without the OCTET STRING around it that some issuers write.

    The length decides, never the first byte: a chip ID may begin with any value.
    """
    if len(value) in _WRAPPED_HW_ID_SIZES and value[:2] == bytes((_OCTET_STRING, len(value) - 2)):
        return value[2:]
    return value
