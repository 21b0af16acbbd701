"""Chains changed behind their issuer's back, exchanged, in disorder, or at another time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations, product
from random import Random

from cryptography import x509

from cases.evidence import Evidence, flipped
from fakes import simulated
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import SimulatedMachine, SimulatedProcessor

_NAMES = ("VEK", "intermediate", "root")
_SECOND = timedelta(seconds=1)


def mutations(evidence: Evidence) -> Iterator[Evidence]:
    """Yield what is tried on every chain: about 30 changes."""
    yield from _other_orders(evidence)
    yield from _other_times(evidence)
    yield from _other_sizes(evidence)


def every_byte(evidence: Evidence, random: Random) -> Iterator[Evidence]:
    """Yield the chain with one bit flipped, in each byte of VEK and intermediate: 3,000 cases.

    The root is trusted: what is not its key means little to the other one.
    """
    for position, certificate in enumerate(evidence.certificates[:2]):
        for byte in range(len(certificate)):
            yield _flip(evidence, position, byte * 8 + random.randrange(8))


def random_bits(evidence: Evidence, random: Random, count: int) -> Iterator[Evidence]:
    """Yield the chain with one bit flipped, for each certificate this many times."""
    for position, certificate in enumerate(evidence.certificates):
        for _ in range(count):
            yield _flip(evidence, position, random.randrange(len(certificate) * 8))


def exchanged(evidence: Sequence[Evidence]) -> Iterator[Evidence]:
    """Yield each report under the chain of each other, and under parts of it.

    What is trusted stays that of the report: nobody trusts a root because it came along.
    """
    for one, other in permutations(evidence, 2):
        both = (*one.anchors, *(each for each in other.anchors if each not in one.anchors))
        name = f"under the chain of {other.name}"
        whole = one.but(name, certificates=other.certificates, anchors=both, at=other.at)
        yield whole
        yield whole.but("at its own time", at=one.at)
        yield whole.but("not trusted", anchors=one.anchors, trusted_root=one.certificates[2])
        for position, certificate in enumerate(other.certificates):
            changed = one.with_certificate(
                f"{_NAMES[position]} of {other.name}", position, certificate
            )
            yield replace(changed, trusted_root=one.certificates[2])


def impostors(evidence: Evidence) -> Iterator[Evidence]:
    """Yield a simulated Milan's report, and an impostor's, under any mixture of their chains.

    The impostor has made certificates with all of AMD's names, for the same chip ID.
    """
    processor = SimulatedProcessor.create(
        simulated.impostor(Product.MILAN),
        now=simulated.NOW,
        random=Random(0),  # noqa: S311 - the same chip as that of the simulated machine
    )
    false = simulated.report(SimulatedMachine.launch(processor))
    for report in (evidence.report, false):
        for chain in product(*zip(evidence.certificates, processor.certificates, strict=True)):
            who = "/".join("own" if each in evidence.certificates else "false" for each in chain)
            changed = evidence.but(f"chain {who}", report=report, certificates=chain)
            yield replace(changed, trusted_root=evidence.certificates[2])


def _flip(evidence: Evidence, position: int, bit: int) -> Evidence:
    what = f"{_NAMES[position]} with bit {bit % 8} of byte {bit // 8:#05x} flipped"
    return evidence.with_certificate(what, position, flipped(evidence.certificates[position], bit))


def _other_orders(evidence: Evidence) -> Iterator[Evidence]:
    numbers = range(len(evidence.certificates))
    for size in range(len(numbers) + 1):
        for chosen in permutations(numbers, size):
            if chosen == tuple(numbers):
                continue
            what = "certificates " + (", ".join(_NAMES[each] for each in chosen) or "left out")
            chain = tuple(evidence.certificates[each] for each in chosen)
            yield evidence.but(what, certificates=chain)


def _other_times(evidence: Evidence) -> Iterator[Evidence]:
    for name, certificate in zip(_NAMES, evidence.certificates, strict=True):
        loaded = x509.load_der_x509_certificate(certificate)
        begin, end = loaded.not_valid_before_utc, loaded.not_valid_after_utc
        for at in (begin - _SECOND, begin, end, end + _SECOND):
            yield evidence.but(f"at {at.isoformat()}, an edge of the {name}", at=at)


def _other_sizes(evidence: Evidence) -> Iterator[Evidence]:
    for position, certificate in enumerate(evidence.certificates):
        for what, changed in (
            ("empty", b""),
            ("cut by a byte", certificate[:-1]),
            ("cut in half", certificate[: len(certificate) // 2]),
            ("with a byte more", certificate + b"\0"),
            ("twice", certificate * 2),
        ):
            yield evidence.with_certificate(f"{_NAMES[position]} {what}", position, changed)
