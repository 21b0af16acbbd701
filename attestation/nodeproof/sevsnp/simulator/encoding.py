"""Reports as the firmware writes them (AMD 56860, ATTESTATION_REPORT structure).

Deliberately apart from the verifier's parser: what one gets wrong, the other does not repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from nodeproof.sevsnp.products import CPUID, Product
from nodeproof.sevsnp.tcb import TCBVersion

_BODY_SIZE = 672
_SCALAR_SIZE = 72
_TAIL_SIZE = 368
_NO_MIGRATION_AGENT = b"\xff" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFields:
    """Everything that a report states; sizes are AMD's, integers unsigned."""

    version: int
    policy: int
    cpuid: CPUID
    chip_id: bytes
    current_tcb: bytes
    reported_tcb: bytes
    committed_tcb: bytes
    launch_tcb: bytes
    report_data: bytes
    measurement: bytes
    report_id: bytes
    platform_info: int
    current_version: tuple[int, int, int]
    """Major, minor, build."""
    committed_version: tuple[int, int, int]
    vmpl: int = 0
    guest_svn: int = 0
    signature_algo: int = 1
    key_info: int = 0
    family_id: bytes = bytes(16)
    image_id: bytes = bytes(16)
    host_data: bytes = bytes(32)
    id_key_digest: bytes = bytes(48)
    author_key_digest: bytes = bytes(48)
    report_id_ma: bytes = _NO_MIGRATION_AGENT
    launch_mit_vector: int = 0
    current_mit_vector: int = 0


def encode_report(fields: ReportFields) -> bytes:
    """Return the 672 bytes of a report that get signed."""
    body = bytearray(_BODY_SIZE)
    for offset, value in _placed(fields):
        body[offset : offset + len(value)] = value
    return bytes(body)


def sign_report(body: bytes, key: EllipticCurvePrivateKey) -> bytes:
    """Return the whole report, 1,184 bytes: R and S little-endian in 72 bytes each, then zeros."""
    scalars = decode_dss_signature(key.sign(body, ECDSA(SHA384())))
    signature = b"".join(scalar.to_bytes(_SCALAR_SIZE, "little") for scalar in scalars)
    return body + signature + bytes(_TAIL_SIZE)


def encode_tcb(tcb: TCBVersion, product: Product) -> bytes:
    """Return the eight bytes of a TCB_VERSION as this product writes it."""
    if product is Product.TURIN:
        components = (tcb.fmc or 0, tcb.bootloader, tcb.tee, tcb.snp, 0, 0, 0, tcb.microcode)
    else:
        components = (tcb.bootloader, tcb.tee, 0, 0, 0, 0, tcb.snp, tcb.microcode)
    return bytes(components)


def _placed(fields: ReportFields) -> Iterator[tuple[int, bytes]]:
    """Yield each field's offset and bytes."""
    yield 0x000, _u32(fields.version)
    yield 0x004, _u32(fields.guest_svn)
    yield 0x008, _u64(fields.policy)
    yield 0x010, fields.family_id
    yield 0x020, fields.image_id
    yield 0x030, _u32(fields.vmpl)
    yield 0x034, _u32(fields.signature_algo)
    yield 0x038, fields.current_tcb
    yield 0x040, _u64(fields.platform_info)
    yield 0x048, _u32(fields.key_info)
    yield 0x050, fields.report_data
    yield 0x090, fields.measurement
    yield 0x0C0, fields.host_data
    yield 0x0E0, fields.id_key_digest
    yield 0x110, fields.author_key_digest
    yield 0x140, fields.report_id
    yield 0x160, fields.report_id_ma
    yield 0x180, fields.reported_tcb
    if fields.version >= 3:  # noqa: PLR2004 - the version that brought the field
        cpuid = fields.cpuid
        yield 0x188, bytes((cpuid.family, cpuid.model, cpuid.stepping))
    yield 0x1A0, fields.chip_id
    yield 0x1E0, fields.committed_tcb
    yield 0x1E8, bytes(reversed(fields.current_version))
    yield 0x1EC, bytes(reversed(fields.committed_version))
    yield 0x1F0, fields.launch_tcb
    if fields.version >= 5:  # noqa: PLR2004 - the version that brought the fields
        yield 0x1F8, _u64(fields.launch_mit_vector)
        yield 0x200, _u64(fields.current_mit_vector)


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "little")
