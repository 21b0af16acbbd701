"""Everything that both verifiers are asked about, made from one source of randomness."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from random import Random

from cases import mutated_chains, mutated_reports
from cases.evidence import Evidence, genuine_evidence, simulated_evidence
from cases.reissued_certificates import reissued
from cases.resigned_reports import resigned
from cases.revoked_chains import revocations

_GENUINE = (
    *("milan-v2-vcek-1", "milan-v3-vlek-1", "milan-v4-vcek-1", "milan-v5-vcek-1"),
    *("genoa-v3-vcek-1", "genoa-v5-vcek-1", "turin-v5-vcek-1"),
)
"""One of each product, version and kind."""

_BITS = 50


def of_the_simulated_platform(random: Random) -> Iterator[Evidence]:
    """Yield about 8,000 changes, also such that AMD alone could have made of genuine evidence."""
    originals = list(simulated_evidence())
    yield from _common(originals, random)
    yield from mutated_chains.impostors(_named(originals, "simulated-milan-v5"))
    yield from mutated_chains.every_byte(_named(originals, "simulated-genoa-v3"), random)
    yield from resigned(random)
    yield from reissued()
    yield from revocations()


def of_genuine_reports(random: Random) -> Iterator[Evidence]:
    """Yield about 12,000 changes of genuine evidence, and the evidence itself."""
    originals = list(genuine_evidence())
    yield from originals
    chosen = [_named(originals, name) for name in _GENUINE]
    yield from _common(chosen, random)
    milan, genoa = (_named(originals, name) for name in ("milan-v5-vcek-1", "genoa-v3-vcek-1"))
    yield from mutated_chains.every_byte(milan, random)
    yield from mutated_reports.whole_regions(milan)
    yield from mutated_reports.whole_regions(genoa)
    yield from mutated_chains.exchanged([*chosen, *simulated_evidence()])


def _common(originals: list[Evidence], random: Random) -> Iterator[Evidence]:
    for one in originals:
        yield from mutated_reports.mutations(one, random)
        yield from mutated_chains.mutations(one)
        yield from mutated_chains.random_bits(one, random, _BITS)
    yield from mutated_chains.exchanged(originals)
    spliced = (mutated_reports.spliced(originals[0], other) for other in originals[1:])
    yield from chain.from_iterable(spliced)


def _named(originals: list[Evidence], name: str) -> Evidence:
    return next(each for each in originals if each.name == name)
