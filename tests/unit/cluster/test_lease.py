from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import Enum
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakes.fake_api import FakeApi
from fakes.virtual_time import VirtualTime, settle
from nodeproof_operator.cluster.errors import Conflict, Unreachable
from nodeproof_operator.cluster.gateway import JSON, Json
from nodeproof_operator.cluster.lease import (
    RENEW_DEADLINE_SECONDS,
    LeaseElector,
    Timing,
    boot_time,
)
from nodeproof_operator.cluster.objects import lease

LEASE = lease("system", "nodeproof-operator")


class Weather(Enum):
    """What the network does to one request."""

    FINE = "fine"
    SLOW = "answered after three seconds"
    REFUSED = "a server error before anything was done"
    LOST = "done, but the answer is lost"
    HANGING = "nothing, until the timeout"


class Network:
    """One replica's way to the API server."""

    def __init__(self, api: FakeApi, time: VirtualTime) -> None:
        self.forecast: deque[Weather] = deque()
        self.lasting = Weather.FINE
        self._api = api
        self._time = time

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        content_type: str = JSON,
        timeout: float = 5.0,  # noqa: ASYNC109 - the protocol's signature
    ) -> Json:
        weather = self.forecast.popleft() if self.forecast else self.lasting
        if weather is Weather.REFUSED:
            raise Unreachable("server error", status=500)
        if weather is Weather.HANGING:
            await self._fail_after(timeout)
        if weather is Weather.SLOW:
            await self._time.sleep(min(3.0, timeout))
        answer = await self._api.call(method, path, body, content_type=content_type)
        if weather is Weather.LOST or (weather is Weather.SLOW and timeout < 3.0):
            raise Unreachable("no answer", status=0)
        return answer

    async def _fail_after(self, seconds: float) -> None:
        await self._time.sleep(seconds)
        raise Unreachable("no answer", status=0)


class Replica:
    """An elector in its task, with what it was told."""

    def __init__(self, api: FakeApi, time: VirtualTime, identity: str) -> None:
        self.network = Network(api, time)
        self.told: list[str] = []
        self.elector = LeaseElector(
            self.network,
            namespace="system",
            identity=identity,
            on_started=lambda: self.told.append("started"),
            on_stopped=lambda: self.told.append("stopped"),
            timing=Timing(time.clock, time.now, time.sleep, lambda: 0.5),
        )
        self._task = asyncio.create_task(self.elector.run())

    @property
    def leads(self) -> bool:
        return self.elector.remaining() > 0.0

    async def stop(self) -> None:
        self._task.cancel()
        await settle()

    async def crash(self) -> None:
        """End without a word to anybody."""
        self.network.forecast.clear()
        self.network.lasting = Weather.REFUSED
        await self.stop()


class World:
    """An API server, time, and replicas."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.time = VirtualTime()
        self.replicas: list[Replica] = []

    def join(self, identity: str) -> Replica:
        self.replicas.append(Replica(self.api, self.time, identity))
        return self.replicas[-1]

    def spec(self) -> Json:
        spec: Json = self.api.read(LEASE)["spec"]
        return spec


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    for replica in world.replicas:
        await replica.crash()


async def test_makes_the_missing_lease_and_leads(world: World) -> None:
    a = world.join("a")
    await world.time.advance(1)
    assert (a.leads, a.told, world.spec()["holderIdentity"]) == (True, ["started"], "a")


async def test_goes_on_leading(world: World) -> None:
    a = world.join("a")
    await world.time.advance(120)
    assert a.told == ["started"]
    assert a.elector.remaining() >= RENEW_DEADLINE_SECONDS - 2.0


async def test_lets_one_of_two_lead_that_start_at_once(world: World) -> None:
    a, b = world.join("a"), world.join("b")
    await world.time.advance(60)
    assert [a.leads, b.leads].count(True) == 1


async def test_lets_the_first_lead_when_both_make_the_lease(world: World) -> None:
    a, b = world.join("a"), world.join("b")
    a.network.forecast.extend([Weather.FINE, Weather.SLOW])
    b.network.forecast.extend([Weather.FINE, Weather.FINE])
    await world.time.advance(10)
    assert (a.leads, b.leads) == (False, True)


async def test_stops_before_another_starts_when_the_holder_hangs(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    b = world.join("b")
    a.network.lasting = Weather.HANGING
    await world.time.advance(RENEW_DEADLINE_SECONDS)
    assert (a.leads, a.told, b.leads) == (False, ["started", "stopped"], False)
    await world.time.advance(10)
    assert b.leads


async def test_survives_server_errors_shorter_than_its_deadline(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    a.network.forecast.extend([Weather.REFUSED] * 3)
    await world.time.advance(20)
    assert a.told == ["started"]


async def test_stops_when_server_errors_last(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    a.network.lasting = Weather.REFUSED
    await world.time.advance(12)
    assert a.told == ["started", "stopped"]


async def test_leads_again_after_trouble_if_nobody_else_did(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    a.network.lasting = Weather.REFUSED
    await world.time.advance(12)
    a.network.lasting = Weather.FINE
    await world.time.advance(5)
    assert (a.leads, world.spec()["leaseTransitions"]) == (True, 0)


async def test_goes_on_when_the_answer_to_a_renewal_is_lost(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    a.network.forecast.append(Weather.LOST)
    await world.time.advance(20)
    assert a.told == ["started"]


async def test_goes_on_when_somebody_annotates_the_lease(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    annotated = world.api.read(LEASE)
    annotated["metadata"]["annotations"] = {"looked": "at"}
    world.api.put(LEASE, annotated)
    await world.time.advance(20)
    assert (a.told, world.api.read(LEASE)["metadata"]["annotations"]) == (
        ["started"],
        {"looked": "at"},
    )


async def test_stops_at_once_when_another_holds_the_lease(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    taken = world.api.read(LEASE)
    taken["spec"]["holderIdentity"] = "admin"
    world.api.put(LEASE, taken)
    await world.time.advance(2)
    assert a.told == ["started", "stopped"]


async def test_has_no_time_left_after_the_process_was_stopped_for_long(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    world.time.jump(3600)
    assert a.elector.remaining() == 0.0


async def test_says_that_it_stopped_after_a_jump_of_the_clock(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    world.time.jump(3600)
    await world.time.advance(5)
    assert a.told == ["started", "stopped", "started"]


async def test_believes_no_renewal_time_in_the_lease(world: World) -> None:
    spec = {"holderIdentity": "b", "renewTime": "1970-01-01T00:00:00.000000Z"}
    world.api.put(LEASE, {"spec": spec})
    a = world.join("a")
    await world.time.advance(14)
    assert not a.leads
    await world.time.advance(6)
    assert a.leads


async def test_takes_an_abandoned_lease_and_counts_it(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    await a.crash()
    b = world.join("b")
    await world.time.advance(20)
    assert (b.leads, world.spec()["leaseTransitions"]) == (True, 1)


async def test_hands_the_lease_over_when_it_is_stopped(world: World) -> None:
    a, b = world.join("a"), world.join("b")
    await world.time.advance(3)
    await a.stop()
    assert a.told == ["started", "stopped"]
    assert "holderIdentity" not in world.spec()
    await world.time.advance(3)
    assert b.leads


async def test_closes_the_gate_before_it_frees_the_lease(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    before = len(world.api.sent("PUT"))
    order: list[str] = []
    a.elector._on_stopped = lambda: order.append(f"{len(world.api.sent('PUT')) - before} written")
    await a.stop()
    assert order == ["0 written"]
    assert len(world.api.sent("PUT")) == before + 1


async def test_frees_no_lease_that_is_not_its_own(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    b = world.join("b")
    await b.stop()
    assert world.spec()["holderIdentity"] == "a"
    assert a.leads


async def test_takes_its_own_lease_back_after_a_restart(world: World) -> None:
    first = world.join("a")
    await world.time.advance(3)
    await first.crash()
    second = world.join("a")
    await world.time.advance(1)
    assert second.leads


async def test_makes_a_deleted_lease_again(world: World) -> None:
    a = world.join("a")
    await world.time.advance(3)
    world.api.remove(LEASE)
    await world.time.advance(3)
    assert (a.told, world.spec()["holderIdentity"]) == (["started"], "a")


async def test_rests_after_two_conflicts_in_a_row(world: World) -> None:
    a = world.join("a")
    world.api.fail_next(Conflict("again", status=409), times=2, method="POST")
    await world.time.advance(1)
    assert not a.leads
    await world.time.advance(3)
    assert a.leads


def test_counts_seconds_since_boot() -> None:
    first = boot_time()
    assert first > 0
    assert boot_time() >= first


spells = st.lists(st.tuples(st.sampled_from(Weather), st.integers(1, 12)), max_size=6)
"""Weather stays for a while, or no renewal would ever come too late."""


@settings(max_examples=60, deadline=None)
@example(first=[(Weather.FINE, 6), (Weather.HANGING, 9)], second=[], stopped_at=200)
@example(first=[(Weather.FINE, 6), (Weather.REFUSED, 12)], second=[], stopped_at=200)
@given(first=spells, second=spells, stopped_at=st.integers(0, 200))
async def test_never_lets_two_lead(
    first: list[tuple[Weather, int]], second: list[tuple[Weather, int]], stopped_at: int
) -> None:
    world = World()
    a, b = world.join("a"), world.join("b")
    for replica, spells_of_one in ((a, first), (b, second)):
        replica.network.forecast.extend(each for each, count in spells_of_one for _ in range(count))
    try:
        for moment in range(200):
            await world.time.advance(0.5)
            assert not (a.leads and b.leads)
            if moment == stopped_at:
                await a.stop()
    finally:
        for replica in world.replicas:
            await replica.crash()
