from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes import simulated
from nodeproof.errors import VerificationError
from nodeproof.sevsnp.bits import GuestPolicy, KeyInfo, PlatformInfo
from nodeproof.sevsnp.report import Report
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.sevsnp.statement import read_statement
from nodeproof_cli import rendering
from nodeproof_cli.advice import ADVICE

REASONS = {
    kind.reason
    for kind in VerificationError.__subclasses__()
    if kind.__module__ == VerificationError.__module__
}


def test_there_is_advice_for_every_reason() -> None:
    assert ADVICE.keys() == REASONS


def test_the_documentation_lists_every_reason(repository: Path) -> None:
    text = (repository / "docs" / "verification.md").read_text()
    named = re.findall(r"^\| \d+ \|.*\| `(\w+)` \|", text, re.MULTILINE)
    assert set(named) == REASONS


def test_the_documentation_numbers_the_checks_without_a_gap(repository: Path) -> None:
    text = (repository / "docs" / "verification.md").read_text()
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_field_of_a_report_is_in_the_answer() -> None:
    answer = rendering.fields(read_statement(simulated.machine().attest(bytes(64))))
    names = set(Report.__struct_fields__) - {"raw", "cpuid"}
    assert names <= answer.keys()


@pytest.mark.parametrize(("kind", "count"), [(GuestPolicy, 11), (PlatformInfo, 8), (KeyInfo, 3)])
def test_every_bit_is_in_the_answer(
    kind: type[GuestPolicy | PlatformInfo | KeyInfo], count: int
) -> None:
    assert len(rendering.bits(kind(0))) == count


def test_version_2_has_no_cpuid(machine: SimulatedMachine) -> None:
    answer = rendering.fields(read_statement(simulated.report(machine, version=2)))
    assert answer["cpuid_family"] is answer["cpu_model"] is None
    assert answer["launch_mit_vector"] is None


def test_times_are_in_utc() -> None:
    assert rendering.utc(datetime(26, 3, 1, tzinfo=UTC)) == "0026-03-01T00:00:00Z"


@pytest.fixture(scope="module")
def machine() -> SimulatedMachine:
    return simulated.machine()
