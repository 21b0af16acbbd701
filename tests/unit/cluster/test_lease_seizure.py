"""The Lease taken by force, beside electors that would like to lead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes.fake_api import FakeApi, Request
from fakes.virtual_time import VirtualTime, settle
from nodeproof_operator.cluster.errors import Forbidden, Unreachable
from nodeproof_operator.cluster.gateway import Gateway, Json
from nodeproof_operator.cluster.lease import LeaseElector, Timing
from nodeproof_operator.cluster.lease_seizure import (
    ATTEMPTS,
    HOLD_SECONDS,
    OVER_SECONDS,
    SURE_SECONDS,
    LeaseLost,
    LeaseNotTaken,
    LeaseSeizure,
)
from nodeproof_operator.cluster.objects import lease

LEASE = lease("system", "nodeproof-operator")


class Deafening:
    """A way to the API server that may come to answer nothing."""

    def __init__(self, api: FakeApi) -> None:
        self.deaf = False
        self._api = api

    async def call(self, method: str, path: str, *rest: Any, **options: Any) -> Json:
        if self.deaf:
            raise Unreachable("no answer", status=0)
        return await self._api.call(method, path, *rest, **options)


class Forgetting:
    """One that does the first write, and loses the answer."""

    def __init__(self, api: FakeApi) -> None:
        self._lost = False
        self._api = api

    async def call(self, method: str, path: str, *rest: Any, **options: Any) -> Json:
        answer = await self._api.call(method, path, *rest, **options)
        if method == "PUT" and not self._lost:
            self._lost = True
            raise Unreachable("no answer", status=0)
        return answer


class World:
    """An API server, time, an operator's elector and one who takes its Lease."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.time = VirtualTime()
        self.timing = Timing(self.time.clock, self.time.now, self.time.sleep, lambda: 0.5)
        self.told: list[str] = []
        self.seizure = self.seizing(self.api)
        self.tasks: list[asyncio.Task[Any]] = []

    def seizing(self, gateway: Gateway) -> LeaseSeizure:
        return LeaseSeizure(gateway, namespace="system", identity="cleanup", timing=self.timing)

    def elector(self, identity: str = "operator", gateway: Gateway | None = None) -> LeaseElector:
        made = LeaseElector(
            gateway or self.api,
            namespace="system",
            identity=identity,
            on_started=lambda: self.told.append(f"{identity} started"),
            on_stopped=lambda: self.told.append(f"{identity} stopped"),
            timing=self.timing,
        )
        self.tasks.append(asyncio.create_task(made.run()))
        return made

    def taking(self) -> asyncio.Task[str]:
        task = asyncio.create_task(self.seizure.take())
        self.tasks.append(task)
        return task

    def spec(self) -> Json:
        spec: Json = self.api.read(LEASE)["spec"]
        return spec


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    for each in world.tasks:
        each.cancel()
    await settle()
    await asyncio.gather(*world.tasks, return_exceptions=True)


async def test_a_free_lease_is_taken_at_once(world: World) -> None:
    assert await world.seizure.take() == ""
    assert world.spec()["holderIdentity"] == "cleanup"
    assert world.seizure.remaining() == SURE_SECONDS


async def test_a_leader_is_overwritten_and_stops_long_before_taking_returns(world: World) -> None:
    leader = world.elector()
    await world.time.advance(3)
    taking = world.taking()
    await world.time.advance(OVER_SECONDS - 1)
    assert (leader.remaining(), world.told[-1]) == (0.0, "operator stopped")
    assert not taking.done()
    await world.time.advance(2)
    assert await taking == "operator"


async def test_a_leader_that_hears_nothing_has_ended_when_taking_returns(world: World) -> None:
    """By its own clock it leads for ten seconds after its last renewal."""
    network = Deafening(world.api)
    leader = world.elector(gateway=network)
    await world.time.advance(3)
    network.deaf = True
    taking = world.taking()
    await world.time.advance(6)
    assert leader.remaining() > 0.0
    await world.time.advance(OVER_SECONDS - 6)
    assert leader.remaining() == 0.0
    await world.time.advance(1)
    assert await taking == "operator"


async def test_no_replica_leads_while_the_lease_is_renewed(world: World) -> None:
    for each in ("a", "b"):
        world.elector(each)
    await world.time.advance(3)
    taking = world.taking()
    await world.time.advance(OVER_SECONDS)
    await taking
    starts = len([each for each in world.told if each.endswith("started")])
    async with world.seizure.renewed():
        await world.time.advance(300)
        assert world.seizure.remaining() > 0
    assert len([each for each in world.told if each.endswith("started")]) == starts


async def test_nobody_leads_for_a_minute_after_it_was_left(world: World) -> None:
    elector = world.elector()
    await world.time.advance(3)
    taking = world.taking()
    await world.time.advance(OVER_SECONDS)
    await taking
    await world.seizure.leave()
    await world.time.advance(HOLD_SECONDS - 1)
    assert elector.remaining() == 0.0
    await world.time.advance(10)
    assert elector.remaining() > 0.0


async def test_once_released_an_operator_leads_again_at_once(world: World) -> None:
    elector = world.elector()
    await world.time.advance(3)
    taking = world.taking()
    await world.time.advance(OVER_SECONDS)
    await taking
    await world.seizure.release()
    await world.time.advance(5)
    assert elector.remaining() > 0.0
    assert world.seizure.remaining() == 0.0


async def test_somebody_elses_lease_is_not_released(world: World) -> None:
    world.api.put(LEASE, {"spec": {"holderIdentity": "another"}})
    await world.seizure.release()
    assert world.spec() == {"holderIdentity": "another"}


async def test_an_answer_that_was_lost_does_not_shorten_the_wait(world: World) -> None:
    """The second look finds our own name; the leader may still write all the same."""
    world.api.put(LEASE, {"spec": {"holderIdentity": "operator"}})
    world.seizure = world.seizing(Forgetting(world.api))
    taking = world.taking()
    await world.time.advance(OVER_SECONDS)
    assert not taking.done()
    await world.time.advance(5)
    assert await taking == "operator"


async def test_a_holder_that_always_renews_first_does_not_win(world: World) -> None:
    world.api.put(LEASE, {"spec": {"holderIdentity": "operator"}})
    renewals = 0

    async def renew(request: Request) -> None:
        nonlocal renewals
        if request.method == "PUT" and renewals < ATTEMPTS - 1:
            renewals += 1
            world.api.put(LEASE, {"spec": {"holderIdentity": "operator", "n": renewals}})

    world.api.before = renew
    taking = world.taking()
    await world.time.advance(OVER_SECONDS)
    assert await taking == "operator"


async def test_one_who_may_not_is_told_so(world: World) -> None:
    world.api.put(LEASE, {"spec": {}})
    world.api.fail_next(Forbidden("no", status=403), method="PUT")
    with pytest.raises(Forbidden):
        await world.seizure.take()


async def test_gives_up_where_the_server_cannot_be_reached(world: World) -> None:
    world.api.fail_next(Unreachable("no answer", status=0), times=100)
    taking = world.taking()
    await world.time.advance(60)
    with pytest.raises(LeaseNotTaken):
        await taking


async def test_a_lease_that_another_took_is_lost_and_counts_no_more(world: World) -> None:
    await world.seizure.take()
    world.api.put(LEASE, {"spec": {"holderIdentity": "another cleanup"}})
    with pytest.raises(LeaseLost):
        async with world.seizure.renewed():
            await world.time.advance(6)
    assert world.seizure.remaining() == 0.0
    assert world.spec()["holderIdentity"] == "another cleanup"


async def test_short_trouble_of_the_server_does_not_lose_it(world: World) -> None:
    await world.seizure.take()
    async with world.seizure.renewed():
        world.api.fail_next(Unreachable("no answer", status=0), times=4)
        await world.time.advance(SURE_SECONDS - 1)
    assert world.seizure.remaining() > 0


async def test_long_trouble_of_the_server_loses_it(world: World) -> None:
    await world.seizure.take()
    world.api.fail_next(Unreachable("no answer", status=0), times=1000)
    with pytest.raises(LeaseLost):
        async with world.seizure.renewed():
            await world.time.advance(SURE_SECONDS + 1)
