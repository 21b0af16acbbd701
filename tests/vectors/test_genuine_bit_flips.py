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

REPORT_BITS = 1184 * 8

NAMES = ["milan-v5-vcek-1", "genoa-v3-vcek-1", "turin-v5-vcek-1"]


@pytest.mark.parametrize("name", NAMES)
def test_no_flipped_bit_is_accepted(name: str) -> None:
    vector = genuine.load(name)
    report, certificates = vector.report, vector.certificates
    accepted = [
        bit for bit in range(REPORT_BITS) if is_accepted(vector, flipped(report, bit), certificates)
    ]
    assert accepted == []
    assert is_accepted(vector, report, certificates)


@pytest.mark.parametrize("name", NAMES)
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
