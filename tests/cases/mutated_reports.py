"""Reports changed behind the signer's back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from random import Random

from cases.evidence import Evidence, flipped, overwritten
from nodeproof.sevsnp.layout import REPORT_SIZE, SCALAR_SIZE, SIGNED_SIZE
from nodeproof.sevsnp.report import P384_ORDER

BOUNDARIES = (
    *(0x000, 0x004, 0x008, 0x010, 0x020, 0x030, 0x034, 0x038, 0x040, 0x048, 0x04C, 0x050, 0x090),
    *(0x0C0, 0x0E0, 0x110, 0x140, 0x160, 0x180, 0x188, 0x189, 0x18A, 0x18B, 0x1A0, 0x1E0, 0x1E8),
    *(0x1EB, 0x1EC, 0x1EF, 0x1F0, 0x1F8, 0x200, 0x208, 0x2A0, 0x2D0, 0x2E8, 0x318, 0x330, 0x4A0),
)
"""Where each field begins (56860, ATTESTATION_REPORT), and where the report ends."""

WHOLE_REGIONS = ((0x000, 0x050), (0x180, 0x1A8), (0x1E0, 0x210), (0x2C8, 0x2F0), (0x310, 0x338))
"""All but the fields that hold whatever somebody chose, and the edges of the signature."""

SIZES = (0, 1, 671, 672, 1183, 1185, 1186, 1200, 2048, 4096)
VERSIONS = (0, 1, 2, 3, 4, 5, 6, 7, 0x0200, 0xFFFFFFFF)
_RANDOM_BITS = 60
_S_OFFSET = SIGNED_SIZE + SCALAR_SIZE


def mutations(evidence: Evidence, random: Random) -> Iterator[Evidence]:
    """Yield what is tried on every report: about 300 changes."""
    yield evidence
    yield from _flips(evidence, _edges())
    yield from _flips(evidence, (random.randrange(REPORT_SIZE * 8) for _ in range(_RANDOM_BITS)))
    yield from _filled_fields(evidence, random)
    yield from _other_sizes(evidence)
    yield from _other_versions(evidence)
    yield from _other_signatures(evidence)


def whole_regions(evidence: Evidence) -> Iterator[Evidence]:
    """Yield the report with each bit of ``WHOLE_REGIONS`` flipped: about 1,900 changes."""
    bits = (bit for start, end in WHOLE_REGIONS for bit in range(start * 8, end * 8))
    return _flips(evidence, bits)


def spliced(one: Evidence, other: Evidence) -> Iterator[Evidence]:
    """Yield one report with everything from a field's beginning on taken from the other."""
    for offset in BOUNDARIES[1:-1]:
        report = one.report[:offset] + other.report[offset:]
        yield one.but(f"from {offset:#05x} on {other.name}", report=report)


def _edges() -> Iterator[int]:
    for start, end in pairwise(BOUNDARIES):
        yield start * 8
        yield end * 8 - 1


def _flips(evidence: Evidence, bits: Iterable[int]) -> Iterator[Evidence]:
    for bit in bits:
        what = f"bit {bit % 8} of byte {bit // 8:#05x} flipped"
        yield evidence.but(what, report=flipped(evidence.report, bit))


def _filled_fields(evidence: Evidence, random: Random) -> Iterator[Evidence]:
    for start, end in pairwise(BOUNDARIES):
        size = end - start
        for value in (bytes(size), b"\xff" * size, random.randbytes(size)):
            what = f"{start:#05x} to {end - 1:#05x} are {value[:8].hex()}…"
            yield evidence.but(what, report=overwritten(evidence.report, start, value))


def _other_sizes(evidence: Evidence) -> Iterator[Evidence]:
    for size in SIZES:
        for filler in (b"\0", b"\xff"):
            report = evidence.report[:size].ljust(size, filler)
            yield evidence.but(f"{size} bytes, filled with {filler.hex()}", report=report)


def _other_versions(evidence: Evidence) -> Iterator[Evidence]:
    for version in VERSIONS:
        report = overwritten(evidence.report, 0, version.to_bytes(4, "little"))
        yield evidence.but(f"VERSION {version}", report=report)


def _other_signatures(evidence: Evidence) -> Iterator[Evidence]:
    report = evidence.report
    r, s = _scalar(report, SIGNED_SIZE), _scalar(report, _S_OFFSET)
    top = 1 << 8 * SCALAR_SIZE
    for what, other_r, other_s in (
        ("R and n - S", r, P384_ORDER - s),
        ("n - R and S", P384_ORDER - r, s),
        ("R and S swapped", s, r),
        ("R of zero", 0, s),
        ("S of zero", r, 0),
        ("R and S of zero", 0, 0),
        ("R of one", 1, s),
        ("S of one", r, 1),
        ("R of n", P384_ORDER, s),
        ("S of n", r, P384_ORDER),
        ("R + n", r + P384_ORDER, s),
        ("S + n", r, s + P384_ORDER),
        ("R of n - 1", P384_ORDER - 1, s),
        ("S of n - 1", r, P384_ORDER - 1),
        ("the largest R", top - 1, s),
        ("the largest S", r, top - 1),
    ):
        scalars = b"".join(each.to_bytes(SCALAR_SIZE, "little") for each in (other_r, other_s))
        yield evidence.but(what, report=overwritten(report, SIGNED_SIZE, scalars))


def _scalar(report: bytes, offset: int) -> int:
    return int.from_bytes(report[offset : offset + SCALAR_SIZE], "little")
