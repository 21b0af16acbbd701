"""Does this VEK belong to the processor and the firmware that the report names?

The signature alone does not tell: AMD's certificate binds the key to a chip and to versions, and
the report repeats both (57230 and 58369, certificate extensions; 56860, REPORTED_TCB, CHIP_ID).
"""

from __future__ import annotations

from functools import lru_cache

from nodeproof.errors import EndorsementMismatch, ReportVersionUnsupported
from nodeproof.sevsnp.certificates import Certificate, Role
from nodeproof.sevsnp.extensions import VEKExtensions, parse_vek_extensions
from nodeproof.sevsnp.products import HW_ID_SIZES, STRUCT_VERSIONS, CPUModel, Product
from nodeproof.sevsnp.report import Report
from nodeproof.sevsnp.tcb import TCBVersion

CHIP_ID_SIZE = 64
"""Bytes of CHIP_ID."""

_NO_CHIP_ID = bytes(CHIP_ID_SIZE)
_CACHED = 1024


@lru_cache(maxsize=_CACHED)
def vek_extensions(vek: Certificate) -> VEKExtensions:
    """Return what AMD's extensions of this VEK say.

    Raises:
        ChainInvalid: They are not those of a VEK.
    """
    return parse_vek_extensions(vek.extensions)


def check_endorsement(
    report: Report, model: CPUModel | None, reported_tcb: TCBVersion, vek: Certificate
) -> None:
    """Check that a VEK with a verified chain was issued for what the report names.

    Raises:
        EndorsementMismatch: It was issued for another chip, product or firmware.
        ReportVersionUnsupported: The product never made reports of this version.
        ChainInvalid: Its extensions are not those of a VEK.
    """
    extensions = vek_extensions(vek)
    _check_product(model, extensions, vek.product)
    _require("REPORTED_TCB", reported_tcb, extensions.tcb)
    if vek.role is Role.VCEK:
        _check_chip(report, extensions, vek.product)
    else:
        _check_provider(report, extensions)


def _check_product(model: CPUModel | None, extensions: VEKExtensions, product: Product) -> None:
    if model is None and product is Product.TURIN:
        raise ReportVersionUnsupported(
            "Turin makes no reports of version 2", expected="version 3 or later", observed="2"
        )
    if model is not None:
        _require("product of the chain", model.product, product)
    # What follows the product's name is a stepping: Milan-B0 on every Milan, whatever its stepping.
    _require("productName", product, extensions.product_name.partition("-")[0])
    _require("structVersion", STRUCT_VERSIONS[product], extensions.struct_version)


def _check_chip(report: Report, extensions: VEKExtensions, product: Product) -> None:
    if report.chip_id == _NO_CHIP_ID:
        raise EndorsementMismatch(
            "the host masks the chip's ID, so the VCEK cannot be tied to the report",
            expected="a CHIP_ID",
            observed="zeros",
        )
    hw_id = extensions.hw_id
    if hw_id is None or extensions.csp_id is not None:
        raise EndorsementMismatch(
            "a VCEK names a chip and no cloud provider", expected="hwID", observed="none or csp_id"
        )
    _require("hwID size", HW_ID_SIZES[product], len(hw_id))
    if hw_id.ljust(CHIP_ID_SIZE, b"\0") != report.chip_id:
        _require("CHIP_ID", report.chip_id.hex(), hw_id.hex())


def _check_provider(report: Report, extensions: VEKExtensions) -> None:
    if extensions.csp_id is None or extensions.hw_id is not None:
        raise EndorsementMismatch(
            "a VLEK names a cloud provider and no chip", expected="csp_id", observed="none or hwID"
        )
    if report.chip_id != _NO_CHIP_ID:
        _require("CHIP_ID under a VLEK", "zeros", report.chip_id.hex())


def _require(what: str, expected: object, observed: object) -> None:
    if observed != expected:
        raise EndorsementMismatch(
            f"the VEK was not issued for this report: {what}",
            expected=str(expected),
            observed=str(observed),
        )
