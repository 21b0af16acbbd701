"""ATTESTATION_REPORT, versions 2 to 5 (AMD 56860, ATTESTATION_REPORT structure).

Everything is refused that AMD reserves or that no signature covers, so that a report which parses
holds nothing but what its fields say. All integers are little-endian.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from nodeproof.errors import ReportMalformed, ReportVersionUnsupported
from nodeproof.sevsnp.bits import GuestPolicy, KeyInfo, PlatformInfo
from nodeproof.sevsnp.layout import (
    REPORT_SIZE,
    RESERVED,
    SCALAR_SIZE,
    SIGNED_SIZE,
    UNCONFIRMED,
    Body,
)
from nodeproof.sevsnp.products import CPUID

ECDSA_P384_SHA384 = 1
"""The only value of SIGNATURE_ALGO that AMD defines."""

MAX_VMPL = 3
"""The least privileged VMPL; a report that the host asked for states 0xFFFFFFFF."""

P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
"""Order of the group of P-384 (NIST SP 800-186, section 3.2.1.4)."""

_FIRST_WITH_CPUID = 3
_FIRST_WITH_MITIGATIONS = 5


class FirmwareVersion(NamedTuple):
    """A version of the SNP firmware; versions compare as tuples."""

    major: int
    minor: int
    build: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.build}"


class Report(msgspec.Struct, frozen=True):
    """A report, field by field under AMD's names; TCB versions are raw (``decode_tcb``).

    That it parses says nothing of who made it. The bytes do not identify a report: with (R, S) also
    (R, n - S) is a valid signature; compare REPORT_DATA or REPORT_ID instead.
    """

    raw: bytes
    """All 1,184 bytes as received."""
    version: int
    guest_svn: int
    policy: GuestPolicy
    family_id: bytes
    """16 bytes."""
    image_id: bytes
    """16 bytes."""
    vmpl: int
    """0 to 3."""
    signature_algo: int
    current_tcb: bytes
    """8 bytes."""
    platform_info: PlatformInfo
    key_info: KeyInfo
    report_data: bytes
    """64 bytes that the guest chose."""
    measurement: bytes
    """48 bytes: the launch digest."""
    host_data: bytes
    """32 bytes that the host chose at launch."""
    id_key_digest: bytes
    """48 bytes; zero without an ID block."""
    author_key_digest: bytes
    """48 bytes; zero without an author key."""
    report_id: bytes
    """32 bytes: the same for one guest from launch to shutdown."""
    report_id_ma: bytes
    """32 bytes: the migration agent's; all ones without one."""
    reported_tcb: bytes
    """8 bytes: what the VEK was derived for."""
    cpuid: CPUID | None
    """None in version 2."""
    chip_id: bytes
    """64 bytes; zero if the host masks it and under a VLEK."""
    committed_tcb: bytes
    """8 bytes."""
    current_version: FirmwareVersion
    committed_version: FirmwareVersion
    launch_tcb: bytes
    """8 bytes."""
    launch_mit_vector: int | None
    """64 bits; None before version 5."""
    current_mit_vector: int | None
    """64 bits; None before version 5."""
    signature_r: int
    signature_s: int

    @property
    def signed(self) -> bytes:
        """The 672 bytes that the signature covers, as received."""
        return self.raw[:SIGNED_SIZE]


def parse_report(data: bytes) -> Report:
    """Return the report in exactly 1,184 bytes.

    Raises:
        ReportMalformed: Wrong size, reserved bytes or bits used, or a value out of its range.
        ReportVersionUnsupported: The version is not one of 2, 3, 4, 5. Version 6 is recognised, but
            nobody has seen a genuine one yet, so its layout is not relied on.
    """
    data = _sized(data)
    _check_reserved(data, _supported_version(data))
    report = _decode(data)
    _check_values(report)
    return report


def _sized(data: bytes) -> bytes:
    if len(data) != REPORT_SIZE:
        raise ReportMalformed(
            "the report has the wrong size",
            expected=f"{REPORT_SIZE} bytes",
            observed=f"{len(data)} bytes",
        )
    return bytes(data)


def _supported_version(data: bytes) -> int:
    version = int.from_bytes(data[:4], "little")
    if version not in RESERVED:
        why = UNCONFIRMED.get(version, "this release does not know it")
        raise ReportVersionUnsupported(
            f"the report has a version that is not read: {why}",
            expected="one of " + ", ".join(map(str, RESERVED)),
            observed=str(version),
        )
    return version


def _check_reserved(data: bytes, version: int) -> None:
    for start, end in RESERVED[version]:
        if data.count(0, start, end) != end - start:
            raise ReportMalformed(
                "the report has reserved bytes set",
                expected=f"zero from {start:#05x} to {end - 1:#05x} in version {version}",
                observed=_first_set(data, start, end),
            )


def _first_set(data: bytes, start: int, end: int) -> str:
    offset = next(offset for offset in range(start, end) if data[offset])
    return f"{data[offset]:#04x} at {offset:#05x}"


def _decode(data: bytes) -> Report:
    body = Body.unpack(data)
    mitigations = body.version >= _FIRST_WITH_MITIGATIONS
    return Report(
        raw=data,
        version=body.version,
        guest_svn=body.guest_svn,
        policy=GuestPolicy(body.policy),
        family_id=body.family_id,
        image_id=body.image_id,
        vmpl=body.vmpl,
        signature_algo=body.signature_algo,
        current_tcb=body.current_tcb,
        platform_info=PlatformInfo(body.platform_info),
        key_info=KeyInfo(body.key_info),
        report_data=body.report_data,
        measurement=body.measurement,
        host_data=body.host_data,
        id_key_digest=body.id_key_digest,
        author_key_digest=body.author_key_digest,
        report_id=body.report_id,
        report_id_ma=body.report_id_ma,
        reported_tcb=body.reported_tcb,
        cpuid=_cpuid(body),
        chip_id=body.chip_id,
        committed_tcb=body.committed_tcb,
        current_version=FirmwareVersion(body.current_major, body.current_minor, body.current_build),
        committed_version=FirmwareVersion(
            body.committed_major, body.committed_minor, body.committed_build
        ),
        launch_tcb=body.launch_tcb,
        launch_mit_vector=body.launch_mit_vector if mitigations else None,
        current_mit_vector=body.current_mit_vector if mitigations else None,
        signature_r=_scalar(data, SIGNED_SIZE),
        signature_s=_scalar(data, SIGNED_SIZE + SCALAR_SIZE),
    )


def _cpuid(body: Body) -> CPUID | None:
    if body.version < _FIRST_WITH_CPUID:
        return None
    return CPUID(body.family, body.model, body.stepping)


def _scalar(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + SCALAR_SIZE], "little")


def _check_values(report: Report) -> None:
    report.policy.check()
    report.platform_info.check()
    report.key_info.check()
    if report.vmpl > MAX_VMPL:
        raise ReportMalformed(
            "the report was not made for a guest",
            expected=f"VMPL 0 to {MAX_VMPL}",
            observed=f"{report.vmpl:#x}",
        )
    if report.signature_algo != ECDSA_P384_SHA384:
        raise ReportMalformed(
            "the report is signed with an unknown algorithm",
            expected=f"SIGNATURE_ALGO {ECDSA_P384_SHA384}",
            observed=str(report.signature_algo),
        )
    for name, value in (("R", report.signature_r), ("S", report.signature_s)):
        if not 0 < value < P384_ORDER:
            raise ReportMalformed(
                "the report's signature is out of range",
                expected=f"{name} between 1 and the order of P-384",
                observed="0" if value == 0 else "a larger number",
            )
