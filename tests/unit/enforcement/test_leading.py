"""Sweep, policy status, Events and the term that runs them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from fakes.enforcement import (
    NOW,
    POLICY,
    UNREADABLE,
    Leadership,
    audit,
    case,
    elsewhere,
    node,
    policy,
    proof,
    record,
    result_of,
    values,
)
from fakes.fake_api import FakeApi
from nodeproof.errors import NodeproofError
from nodeproof.result import AttestationPolicyStatus, Condition, Status
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.enforcement.board import Board, PolicyCounts, counts, fleet_states
from nodeproof_operator.enforcement.errors import LeadershipUncertain, WriterClosed
from nodeproof_operator.enforcement.events import EVENTS, EventPoster
from nodeproof_operator.enforcement.expiry import RELIST_SECONDS, Sweep
from nodeproof_operator.enforcement.policies import PolicyReporter, policy_status
from nodeproof_operator.enforcement.queue import WorkQueue
from nodeproof_operator.enforcement.result import assess
from nodeproof_operator.enforcement.term import Term
from nodeproof_operator.enforcement.writer import Gate


class Clock:
    """Time that passes only by sleeping; ends the sleeper at ``end``."""

    def __init__(self, end: float = float("inf")) -> None:
        self.now = 0.0
        self.end = end

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > self.end:
            raise asyncio.CancelledError
        await asyncio.sleep(0)


class Lists:
    """Complete lists that fail as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.count = 0

    async def read(self) -> None:
        self.count += 1
        if self.count <= self.failures:
            raise Unreachable("no answer", status=0)


def sweep_with(clock: Clock, lists: Lists) -> tuple[Sweep, WorkQueue, Gate]:
    random = Random(1)  # noqa: S311 - spreads lists only
    queue, gate = WorkQueue(clock, random), Gate(Leadership())
    sweep = Sweep(
        queue,
        gate,
        relist=lists.read,
        names=lambda: ["a", "b"],
        clock=clock,
        sleep=clock.sleep,
        random=random,
    )
    return sweep, queue, gate


async def test_gate_opens_only_after_complete_lists() -> None:
    sweep, queue, gate = sweep_with(Clock(), Lists(failures=2))
    with pytest.raises(WriterClosed):
        gate.check()
    await sweep.begin()
    gate.check()
    assert len(queue) == 2


async def test_gate_stays_closed_as_long_as_lists_fail() -> None:
    sweep, queue, gate = sweep_with(Clock(end=60), Lists(failures=1000))
    with pytest.raises(asyncio.CancelledError):
        await sweep.begin()
    with pytest.raises(WriterClosed):
        gate.check()
    assert len(queue) == 0


async def test_sweep_brings_what_is_due() -> None:
    sweep, queue, _ = sweep_with(Clock(end=11), Lists())
    queue.add_after("expiring", 10)
    await sweep.run()
    assert await queue.get() == "expiring"


async def test_sweep_lists_again_in_time_and_queues_all() -> None:
    lists = Lists()
    sweep, queue, _ = sweep_with(Clock(end=RELIST_SECONDS[1]), lists)
    await sweep.run()
    assert lists.count in {1, 2}
    assert len(queue) == 2


async def test_lost_events_bring_the_next_list_forward() -> None:
    lists = Lists()
    sweep, _, _ = sweep_with(Clock(end=10), lists)
    sweep.list_soon()
    await sweep.run()
    assert lists.count == 1


async def test_list_that_hangs_delays_no_expiry() -> None:
    class Hanging(Lists):
        async def read(self) -> None:
            await asyncio.Event().wait()

    sweep, queue, _ = sweep_with(Clock(), Hanging())
    sweep.list_soon()
    queue.add_after("expiring", 60)
    running = asyncio.create_task(sweep.run())
    assert await queue.get() == "expiring"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def board_of(**changes: Any) -> Board:
    board = Board()
    board.put(assess(case(**changes)))
    return board


def test_counts_matching_and_attested_nodes() -> None:
    board = board_of()
    board.put(assess(case(node=node(name="node-2"), proof=proof(bad=True))))
    assert counts(board) == {POLICY: PolicyCounts(matching=2, attested=1)}


def test_node_that_has_left_is_not_counted_as_matching() -> None:
    left = board_of(policies={POLICY: elsewhere()}, record=record(policies=(result_of(),)))
    assert counts(left) == {}


def test_fleet_states_tell_the_signer() -> None:
    assert fleet_states(board_of()) == {(POLICY, "Passed", "Simulated"): 1}


class PolicyFleet:
    def __init__(self) -> None:
        self.known: dict[str, Any] = {POLICY: policy()}
        self.sets: dict[str, Any] = {"values": values()}

    def policies(self) -> dict[str, Any]:
        return self.known

    def reference_values(self) -> dict[str, Any]:
        return self.sets


class PolicyRecords:
    def __init__(self) -> None:
        self.written: list[tuple[str, AttestationPolicyStatus]] = []
        self.error: NodeproofError | None = None

    async def write_policy_status(self, name: str, status: AttestationPolicyStatus) -> None:
        if self.error:
            raise self.error
        self.written.append((name, status))


class Reporting:
    def __init__(self) -> None:
        self.fleet, self.records, self.board = PolicyFleet(), PolicyRecords(), board_of()
        self.gate = Gate(Leadership())
        self.gate.open()
        self.published = 0
        self.reporter = PolicyReporter(
            self.fleet,
            self.board,
            self.records,
            publish=self._publish,
            clock=lambda: NOW,
            sleep=asyncio.sleep,
            may_write=self.gate.check,
        )

    def _publish(self, _: Board) -> None:
        self.published += 1


async def test_policy_status_tells_how_its_nodes_do() -> None:
    reporting = Reporting()
    await reporting.reporter.round()
    ((name, status),) = reporting.records.written
    assert name == POLICY
    assert (status.matching_nodes, status.attested_nodes) == (1, 1)
    assert status.conditions[0].status is Status.TRUE


async def test_unchanged_policy_status_is_not_written_again() -> None:
    reporting = Reporting()
    await reporting.reporter.round()
    await reporting.reporter.round()
    assert (len(reporting.records.written), reporting.published) == (1, 1)


async def test_policy_status_that_failed_is_tried_in_the_next_round() -> None:
    reporting = Reporting()
    reporting.records.error = Unreachable("no answer", status=0)
    await reporting.reporter.round()
    reporting.records.error = None
    await reporting.reporter.round()
    assert len(reporting.records.written) == 1


async def test_policy_status_is_not_written_without_leadership() -> None:
    reporting = Reporting()
    reporting.gate.close()
    await reporting.reporter.round()
    assert reporting.records.written == []


@pytest.mark.parametrize(
    ("given", "sets", "reason"),
    [
        (policy(), {"values": values()}, "Applied"),
        (policy(), {}, "ReferenceValuesMissing"),
        (UNREADABLE, {}, "PolicyInvalid"),
        (audit(), {"values": values()}, "Applied"),
    ],
)
def test_policy_is_ready_if_it_can_be_applied(given: Any, sets: Any, reason: str) -> None:
    status = policy_status(POLICY, given, PolicyCounts(), sets, None, NOW)
    assert status.conditions[0].reason == reason


def test_transition_of_a_policy_keeps_its_time() -> None:
    first = policy_status(POLICY, policy(), PolicyCounts(), {}, None, NOW)
    later = NOW + timedelta(hours=1)
    second = policy_status(POLICY, policy(), PolicyCounts(1), {}, first, later)
    assert second.conditions[0].last_transition_time == NOW


async def post(api: FakeApi, *conditions: Condition) -> None:
    poster = EventPoster(api, "replica-1", lambda: NOW)
    for each in conditions:
        poster.announce(node(), each)
    task = asyncio.create_task(poster.run())
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def condition(message: str = "policy p: check c failed") -> Condition:
    return Condition("Attested", Status.FALSE, "CheckFailed", message, NOW)


async def test_change_becomes_an_event_on_the_node() -> None:
    api = FakeApi()
    await post(api, condition())
    (request,) = api.sent("POST", EVENTS)
    assert request.body["regarding"]["name"] == "node-1"
    assert (request.body["type"], request.body["reason"]) == ("Warning", "CheckFailed")
    assert request.body["note"] == "Attested=False: policy p: check c failed"


async def test_note_fits_into_what_the_server_accepts() -> None:
    api = FakeApi()
    await post(api, condition("ä" * 5000))
    assert len(api.sent("POST")[0].body["note"].encode()) <= 1024


async def test_event_that_exists_already_is_no_trouble() -> None:
    api = FakeApi()
    await post(api, condition(), condition(), condition("other words, same change"))
    assert len(api.objects) == 1


async def test_flood_of_events_blocks_nothing() -> None:
    poster = EventPoster(FakeApi(), "replica-1", lambda: NOW)
    for _ in range(1000):
        poster.announce(node(), condition())


async def test_term_works_and_closes_the_gate_at_its_end() -> None:
    clock = Clock()
    sweep, queue, gate = sweep_with(clock, Lists())
    seen: list[str] = []
    both = asyncio.Event()

    async def reconcile(name: str) -> None:
        gate.check()
        seen.append(name)
        if len(seen) > 1:
            both.set()

    term = asyncio.create_task(Term(gate, queue, sweep, reconcile).run())
    await both.wait()
    term.cancel()
    with pytest.raises(asyncio.CancelledError):
        await term
    assert sorted(seen) == ["a", "b"]
    with pytest.raises(WriterClosed):
        gate.check()


def test_gate_asks_for_more_time_than_a_request_takes() -> None:
    gate = Gate(Leadership(5.0))
    gate.open()
    with pytest.raises(LeadershipUncertain):
        gate.check()
