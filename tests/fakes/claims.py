"""Claims as verification proves them, made by hand: no key has signed anything."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from nodeproof.policy import SignerKind
from nodeproof.sevsnp.bits import GuestPolicy, KeyInfo, PlatformInfo
from nodeproof.sevsnp.products import CPUID, Product
from nodeproof.sevsnp.report import FirmwareVersion, Report
from nodeproof.sevsnp.tcb import TCBVersion
from nodeproof.sevsnp.verify import VerifiedReport

MEASUREMENT = bytes.fromhex("0123456789abcdef" * 6)
CHIP = bytes(range(64))
TCB = TCBVersion(fmc=None, bootloader=4, tee=0, snp=27, microcode=222)
FIRMWARE = FirmwareVersion(1, 55, 35)
GUEST_POLICY = 0x30000
"""SMT is allowed; bit 17 is set in every guest policy."""
PLATFORM_INFO = 0x25
"""SMT and ECC are on, the alias check is complete."""

_REPORT = Report(
    raw=b"",
    version=5,
    guest_svn=0,
    policy=GuestPolicy(GUEST_POLICY),
    family_id=bytes(16),
    image_id=bytes(16),
    vmpl=0,
    signature_algo=1,
    current_tcb=bytes(8),
    platform_info=PlatformInfo(PLATFORM_INFO),
    key_info=KeyInfo(0),
    report_data=bytes(64),
    measurement=MEASUREMENT,
    host_data=bytes(32),
    id_key_digest=bytes(48),
    author_key_digest=bytes(48),
    report_id=bytes(32),
    report_id_ma=b"\xff" * 32,
    reported_tcb=bytes(8),
    cpuid=CPUID(0x19, 0x01, 0x01),
    chip_id=CHIP,
    committed_tcb=bytes(8),
    current_version=FIRMWARE,
    committed_version=FIRMWARE,
    launch_tcb=bytes(8),
    launch_mit_vector=0x0B,
    current_mit_vector=0x0B,
    signature_r=1,
    signature_s=1,
)

_CLAIMS = VerifiedReport(
    report=_REPORT,
    product=Product.MILAN,
    cpu_model="Milan",
    signer=SignerKind.VCEK,
    csp_id=None,
    reported_tcb=TCB,
    committed_tcb=TCB,
    current_tcb=TCB,
    launch_tcb=TCB,
    chain=(b"", b"", b""),
    crl=None,
)


def claims(**changes: Any) -> VerifiedReport:
    """Return what the report of a guest in good order on Milan proves.

    ``changes`` are fields of ``VerifiedReport`` or, where that has none of the name, of ``Report``.
    """
    own = {name: value for name, value in changes.items() if hasattr(_CLAIMS, name)}
    stated = {name: value for name, value in changes.items() if name not in own}
    return replace(_CLAIMS, report=replace(_REPORT, **stated), **own)
