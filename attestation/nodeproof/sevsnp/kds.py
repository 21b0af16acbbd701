"""What to ask AMD's key distribution service (KDS) for, and at which address (57230, 58369).

Names only: nothing in here opens a connection. A name comes from decoded fields and from nothing
else, so no text of a stranger gets into a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self, TypeAlias

from nodeproof.errors import EndorsementMismatch
from nodeproof.sevsnp.bits import SigningKey
from nodeproof.sevsnp.certificates import INTERMEDIATES, MAX_CERTIFICATE_SIZE, Certificate, Role
from nodeproof.sevsnp.crl import MAX_CRL_SIZE
from nodeproof.sevsnp.endorsement import CHIP_ID_SIZE, vek_extensions
from nodeproof.sevsnp.products import HW_ID_SIZES, STRUCT_VERSIONS, TCB_LAYOUTS, Product
from nodeproof.sevsnp.statement import Statement, read_statement
from nodeproof.sevsnp.tcb import MILAN_LAYOUT, TCBVersion
from nodeproof.sevsnp.verify import SIGNERS

BASE_URL = "https://kdsintf.amd.com"
"""Where AMD runs the service (57230)."""

MAX_CHAIN_SIZE = 64 * 1024
"""Bytes of a ``cert_chain`` that are read; AMD's have about 5,000."""

_SERVICES: Mapping[Role, str] = MappingProxyType(
    {
        Role.ASK: "vcek",
        Role.ASVK: "vlek",
    }
)
"""The part of the service that hands out each intermediate, its chain and its list."""


_VERSIONS = ("bootloader", "tee", "snp", "microcode")
_HIGHEST = 255
_NAME = re.compile(
    rf"VCEK of (?P<product>{'|'.join(Product)}) chip (?P<chip>(?:[0-9a-f]{{2}}){{8,64}}) at "
    r"(?:fmc=(?P<fmc>\d{1,3}) )?"
    + " ".join(rf"{each}=(?P<{each}>\d{{1,3}})" for each in _VERSIONS)
    + r"(?!\d)",
    re.ASCII,
)
"""A VCEK's name as text."""


@dataclass(frozen=True, slots=True)
class VCEKName:
    """One chip's VCEK for one version of its firmware."""

    product: Product
    hw_id: bytes
    """64 bytes; 8 on Turin: what of CHIP_ID names the chip."""
    tcb: TCBVersion
    """REPORTED_TCB, whatever else the firmware is at."""

    @classmethod
    def of(cls, product: Product, chip_id: bytes, tcb: TCBVersion) -> Self:
        """Return the name for the 64 bytes of a CHIP_ID."""
        return cls(product, chip_id[: HW_ID_SIZES[product]], tcb)

    def __str__(self) -> str:
        return f"VCEK of {self.product} chip {self.hw_id.hex()} at {self.tcb}"


@dataclass(frozen=True, slots=True)
class CAName:
    """The intermediate of a product and its root."""

    product: Product
    intermediate: Role
    """``Role.ASK`` or ``Role.ASVK``."""

    def __str__(self) -> str:
        return f"{self.intermediate} and ARK of {self.product}"


@dataclass(frozen=True, slots=True)
class CRLName:
    """The revocation list beside the chain of an intermediate; a product's root signs both."""

    product: Product
    intermediate: Role
    """``Role.ASK`` or ``Role.ASVK``."""

    def __str__(self) -> str:
        return f"revocation list of {self.product} for the {self.intermediate}"


CollateralName: TypeAlias = VCEKName | CAName | CRLName
"""Whatever the service hands out to everybody; a VLEK goes to its cloud provider alone (58369)."""


def vcek_names(report: bytes) -> tuple[VCEKName, ...]:
    """Return the VCEKs, one of which must have signed a report if it is genuine.

    Mostly it is one; version 2 does not tell the product, so there are two. There is none for a
    VLEK's report, for a masked CHIP_ID, and for one that no chip of the product can have.

    Raises:
        ReportMalformed: These bytes are no report.
        ReportVersionUnsupported: A layout that this release does not know.
        ProductUnknown: CPUID values of no known processor.
    """
    statement = read_statement(report)
    chip_id = statement.report.chip_id
    if statement.report.key_info.signing_key is not SigningKey.VCEK or not any(chip_id):
        return ()
    names = (
        VCEKName.of(product, chip_id, statement.reported_tcb) for product in _products(statement)
    )
    return tuple(name for name in names if name.hw_id.ljust(CHIP_ID_SIZE, b"\0") == chip_id)


def ca_names(report: bytes) -> tuple[CAName, ...]:
    """Return the chains, one of which must endorse the VEK of a report if it is genuine.

    Raises:
        ReportMalformed: These bytes are no report.
        ReportVersionUnsupported: A layout that this release does not know.
        ProductUnknown: CPUID values of no known processor.
    """
    statement = read_statement(report)
    intermediate = INTERMEDIATES[SIGNERS[statement.report.key_info.signing_key]]
    return tuple(CAName(product, intermediate) for product in _products(statement))


def vcek_name(vcek: Certificate) -> VCEKName:
    """Return what a VCEK was issued for, going by its extensions.

    Raises:
        ChainInvalid: They are not those of a VEK.
        EndorsementMismatch: They are not those of a VCEK of its product.
    """
    extensions, product = vek_extensions(vcek), vcek.product
    hw_id = extensions.hw_id if extensions.csp_id is None else None
    _require("hwID size", str(HW_ID_SIZES[product]), str(len(hw_id or b"")))
    # What follows the product's name is a stepping.
    _require("productName", str(product), extensions.product_name.partition("-")[0])
    _require("structVersion", str(STRUCT_VERSIONS[product]), str(extensions.struct_version))
    return VCEKName(product, hw_id or b"", extensions.tcb)


def vcek_names_in(text: str) -> tuple[VCEKName, ...]:
    """Return the VCEKs that a text names as ``str`` of their names does; whatever it is, no error.

    What a node waits for is in its NodeAttestation, in a text for people; without network it is
    the only trace of a chip whose VCEK is still missing.
    """
    found = (_read_name(match) for match in _NAME.finditer(text))
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _read_name(match: re.Match[str]) -> VCEKName | None:
    product, chip = Product(match["product"]), bytes.fromhex(match["chip"])
    fmc = None if match["fmc"] is None else int(match["fmc"])
    versions = {each: int(match[each]) for each in _VERSIONS}
    has_fmc = TCB_LAYOUTS[product].fmc is not None
    if len(chip) != HW_ID_SIZES[product] or has_fmc is (fmc is None):
        return None
    if max(fmc or 0, *versions.values()) > _HIGHEST:
        return None
    return VCEKName(product, chip, TCBVersion(fmc=fmc, **versions))


def path_of(name: CollateralName) -> str:
    """Return path and query of a name at the service, beginning with a slash."""
    if isinstance(name, VCEKName):
        return f"/vcek/v1/{name.product}/{name.hw_id.hex()}?{_query(name)}"
    what = "cert_chain" if isinstance(name, CAName) else "crl"
    return f"/{_SERVICES[name.intermediate]}/v1/{name.product}/{what}"


def size_limit(name: CollateralName) -> int:
    """Return how many bytes an answer may have; one with more is not read to its end."""
    match name:
        case VCEKName():
            return MAX_CERTIFICATE_SIZE
        case CAName():
            return MAX_CHAIN_SIZE
        case CRLName():
            return MAX_CRL_SIZE


def _products(statement: Statement) -> tuple[Product, ...]:
    if statement.model:
        return (statement.model.product,)
    # Only they made version 2; they share a layout.
    return tuple(product for product, layout in TCB_LAYOUTS.items() if layout is MILAN_LAYOUT)


def _query(name: VCEKName) -> str:
    """Return the security versions, two decimal digits at least, as AMD's own examples have it."""
    tcb = name.tcb
    versions = {
        "blSPL": tcb.bootloader,
        "teeSPL": tcb.tee,
        "snpSPL": tcb.snp,
        "ucodeSPL": tcb.microcode,
    }
    if tcb.fmc is not None:
        versions = {"fmcSPL": tcb.fmc, **versions}
    return "&".join(f"{parameter}={version:02}" for parameter, version in versions.items())


def _require(what: str, expected: str, observed: str) -> None:
    if observed != expected:
        raise EndorsementMismatch(
            f"this is not what a VCEK of its product says: {what}",
            expected=expected,
            observed=observed,
        )
