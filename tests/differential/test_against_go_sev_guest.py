"""Ours and go-sev-guest on the same evidence: where they disagree, ours is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec
import pytest

from cases.evidence import Evidence
from differential import mutants
from differential.judged import Judged, judge_all, question
from differential.only_they_accept import ONLY_THEY_ACCEPT
from differential.only_we_accept import ONLY_WE_ACCEPT
from fakes import genuine
from nodeproof_dev.go_sev_guest import GoSEVGuest

pytestmark = pytest.mark.go

SIMULATED_AT_LEAST = 8_000
GENUINE_AT_LEAST = 10_000
_SHOWN = 20

Mutants = Callable[[Random], Iterator[Evidence]]


@dataclass(slots=True)
class Tally:
    """What came of all questions."""

    accepted: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unlisted: list[Judged] = field(default_factory=list)

    def add(self, judged: Judged) -> None:
        if judged.agreed:
            self.accepted += judged.theirs.accepted
            self.refused += not judged.theirs.accepted
            return
        listed = ONLY_THEY_ACCEPT if judged.theirs.accepted else ONLY_WE_ACCEPT
        reason = next((each.name for each in listed if each.applies(judged)), None)
        if reason is None:
            self.unlisted.append(judged)
        else:
            self.reasons[reason] += 1

    def count(self) -> int:
        return self.accepted + self.refused + self.reasons.total() + len(self.unlisted)

    def lines(self, title: str) -> Iterator[str]:
        yield f"{title}: {self.count()} cases"
        yield f"  both accept {self.accepted}, both refuse {self.refused}"
        yield f"  disagreements {self.reasons.total()}, unlisted {len(self.unlisted)}"
        yield from (f"    {number:5} {name}" for name, number in sorted(self.reasons.items()))


@pytest.fixture(scope="module")
def seed(pytestconfig: pytest.Config) -> int:
    """The run's seed, which pytest-randomly shows: ``--randomly-seed`` repeats the changes."""
    return int(pytestconfig.getoption("randomly_seed", 0))


@pytest.fixture(scope="module")
def simulated_tally(peer: GoSEVGuest, seed: int, summary: list[str]) -> Tally:
    return compare(mutants.of_the_simulated_platform, peer, seed, summary)


@pytest.fixture(scope="module")
def genuine_tally(peer: GoSEVGuest, seed: int, summary: list[str]) -> Tally:
    if not genuine.FOLDER.is_dir():
        pytest.skip(genuine.ABSENT)
    return compare(mutants.of_genuine_reports, peer, seed, summary)


def compare(made: Mutants, peer: GoSEVGuest, seed: int, summary: list[str]) -> Tally:
    tally = Tally()
    random = Random(seed)  # noqa: S311 - has to be repeatable
    for judged in judge_all(made(random), peer):
        tally.add(judged)
    summary += tally.lines(f"{made.__name__.replace('_', ' ')}, seed {seed}")
    return tally


def explain(tally: Tally, seed: int, folder: Path) -> str:
    """Return what was not expected; the evidence goes to a file, for keys are new in each run."""
    kept = folder / "unlisted.jsonl"
    questions = [question(each.evidence) for each in tally.unlisted]
    kept.write_bytes(msgspec.json.Encoder().encode_lines(questions))
    shown = "\n".join(map(str, tally.unlisted[:_SHOWN]))
    return f"{len(tally.unlisted)} unlisted, seed {seed}, evidence in {kept}:\n{shown}"


def test_each_disagreement_on_simulated_evidence_is_listed(
    simulated_tally: Tally, seed: int, tmp_path: Path
) -> None:
    assert simulated_tally.count() >= SIMULATED_AT_LEAST
    assert not simulated_tally.unlisted, explain(simulated_tally, seed, tmp_path)


@pytest.mark.vectors
def test_each_disagreement_on_genuine_evidence_is_listed(
    genuine_tally: Tally, seed: int, tmp_path: Path
) -> None:
    assert genuine_tally.count() >= GENUINE_AT_LEAST
    assert not genuine_tally.unlisted, explain(genuine_tally, seed, tmp_path)


def test_each_listed_disagreement_occurs(simulated_tally: Tally) -> None:
    listed = {each.name for each in (*ONLY_THEY_ACCEPT, *ONLY_WE_ACCEPT)}
    assert listed - simulated_tally.reasons.keys() == set()


def test_most_verdicts_are_the_same(simulated_tally: Tally) -> None:
    agreed = simulated_tally.accepted + simulated_tally.refused
    assert agreed > 0.9 * simulated_tally.count()
    assert simulated_tally.accepted
