from __future__ import annotations

import pytest

from fakes import genuine
from nodeproof.errors import VerificationError
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.roots import AMD_ROOTS
from nodeproof.sevsnp.verify import verify

pytestmark = [
    pytest.mark.vectors,
    pytest.mark.skipif(not genuine.FOLDER.is_dir(), reason=genuine.ABSENT),
]

STRIDE = 5
"""Every fifth bit: all positions within a byte come up, and three products take three seconds."""

REPORT_BITS = 1184 * 8

RESERVED = {
    # Reserved bytes of the four TCB versions: signed, but where they are depends on the product.
    "milan-v5-vcek-1": [(0x3A, 0x3E), (0x182, 0x186), (0x1E2, 0x1E6), (0x1F2, 0x1F6)],
    "genoa-v3-vcek-1": [(0x3A, 0x3E), (0x182, 0x186), (0x1E2, 0x1E6), (0x1F2, 0x1F6)],
    "turin-v5-vcek-1": [(0x3C, 0x3F), (0x184, 0x187), (0x1E4, 0x1E7), (0x1F4, 0x1F7)],
}
RESERVED_EVERYWHERE = [
    (0x04C, 0x050),
    (0x18A, 0x1A0),
    (0x1EB, 0x1EC),
    (0x1EF, 0x1F0),
    (0x208, 0x2A0),
    (0x2D0, 0x2E8),
    (0x318, 0x4A0),
]


@pytest.mark.parametrize("name", RESERVED)
def test_no_flipped_bit_is_accepted(name: str) -> None:
    vector = genuine.load(name)
    report, certificates = vector.report, vector.certificates
    ranges = RESERVED_EVERYWHERE + RESERVED[name]
    reserved = {bit for start, end in ranges for bit in range(start * 8, end * 8)}
    accepted = [
        bit
        for bit in sorted(reserved.union(range(0, REPORT_BITS, STRIDE)))
        if is_accepted(vector, flipped(report, bit), certificates)
    ]
    assert accepted == []
    assert is_accepted(vector, report, certificates)


@pytest.mark.parametrize("name", RESERVED)
def test_no_flipped_bit_around_a_signed_certificate_is_accepted(name: str) -> None:
    vector = genuine.load(name)
    certificates = [each.der for each in load_certificates(vector.certificates)]
    accepted = [
        (number, bit)
        for number, certificate in enumerate(certificates)
        for bit in unsigned_bits(certificate)
        if is_accepted(
            vector,
            vector.report,
            [*certificates[:number], flipped(certificate, bit), *certificates[number + 1 :]],
        )
    ]
    assert accepted == []


def unsigned_bits(certificate: bytes) -> list[int]:
    """Return the bits before the signed part and between it and the signature."""
    loaded = load_certificates([certificate])[0]
    start = certificate.index(loaded.signed)
    end = len(certificate) - len(loaded.signature)
    offsets = [*range(start), *range(start + len(loaded.signed), end)]
    return [8 * offset + bit for offset in offsets for bit in range(8)]


def flipped(report: bytes, bit: int) -> bytes:
    changed = bytearray(report)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def is_accepted(vector: genuine.Vector, report: bytes, certificates: list[bytes]) -> bool:
    try:
        verify(report, certificates, anchors=AMD_ROOTS, now=vector.valid_at, report_data=None)
    except VerificationError:
        return False
    return True
