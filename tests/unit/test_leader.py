from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from nodeproof_operator.cluster.kinds import Key, Kind
from nodeproof_operator.enforcement.term import Term
from nodeproof_operator.leader import Leader


def _already_set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class FakeTerm:
    """A term that notes what is asked of it; it may end late, as a real one may."""

    notes: list[str]
    ending: asyncio.Event = field(default_factory=_already_set)
    failure: Exception | None = None

    @property
    def gate(self) -> FakeTerm:
        return self

    @property
    def queue(self) -> FakeTerm:
        return self

    @property
    def sweep(self) -> FakeTerm:
        return self

    async def run(self) -> None:
        self.notes.append("run")
        if self.failure:
            raise self.failure
        try:
            await asyncio.Event().wait()
        finally:
            await self.ending.wait()
            self.notes.append("ended")

    def close(self) -> None:
        self.notes.append("closed")

    def add(self, name: str) -> None:
        self.notes.append(f"look at {name}")

    def queue_all(self) -> None:
        self.notes.append("look at all")

    def list_soon(self) -> None:
        self.notes.append("list")


@pytest.fixture
def notes() -> list[str]:
    return []


def leader_of(*terms: FakeTerm) -> Leader:
    line = iter(terms)
    return Leader(lambda: cast("Term", next(line)), show=lambda _: None)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_writing_is_forbidden_before_end_returns(notes: list[str]) -> None:
    leader = leader_of(FakeTerm(notes))
    leader.begin()
    await settle()
    leader.end()
    assert notes == ["run", "closed"]


async def test_a_new_term_waits_for_the_end_of_the_last(notes: list[str]) -> None:
    first, second = FakeTerm(notes, ending=asyncio.Event()), FakeTerm(notes)
    leader = leader_of(first, second)
    leader.begin()
    await settle()
    leader.end()
    leader.begin()
    await settle()
    assert notes == ["run", "closed"]
    first.ending.set()
    await settle()
    assert notes == ["run", "closed", "ended", "run"]
    leader.end()


async def test_a_node_is_looked_at_and_a_policy_concerns_all(notes: list[str]) -> None:
    term = FakeTerm(notes)
    leader = leader_of(term)
    leader.begin()
    leader.note(Key(Kind.NODE, "node-a"))
    leader.note(Key(Kind.POLICY, "confidential"))
    leader.list_soon()
    leader.look_at_all()
    assert notes == ["look at node-a", "look at all", "list", "look at all"]


async def test_without_a_term_nothing_is_looked_at(notes: list[str]) -> None:
    leader = leader_of(FakeTerm(notes))
    leader.note(Key(Kind.NODE, "node-a"))
    leader.list_soon()
    leader.look_at_all()
    assert notes == []


async def test_a_term_that_breaks_is_told(notes: list[str]) -> None:
    leader = leader_of(FakeTerm(notes, failure=ValueError("broken")))
    leader.begin()
    with pytest.raises(ValueError, match="broken"):
        await leader.watch()
