from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from nodeproof.errors import NodeproofError
from nodeproof_operator.enforcement.queue import LAST_RETRY_SECONDS, WorkQueue, work


class Fixture:
    def __init__(self) -> None:
        self.now = 0.0
        self.queue = WorkQueue(lambda: self.now, Random(1))  # noqa: S311 - spreads retries only

    def at(self, now: float) -> int:
        """Let time pass and return how many keys stand in the line."""
        self.now = now
        self.queue.promote()
        return len(self.queue)


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


async def test_keys_come_in_order_and_each_once(fixture: Fixture) -> None:
    for key in ("a", "b", "a"):
        fixture.queue.add(key)
    assert [await fixture.queue.get(), await fixture.queue.get()] == ["a", "b"]
    assert len(fixture.queue) == 0


async def test_key_is_never_worked_on_twice_at_once(fixture: Fixture) -> None:
    fixture.queue.add("a")
    key = await fixture.queue.get()
    fixture.queue.add("a")
    assert len(fixture.queue) == 0
    fixture.queue.done(key)
    assert len(fixture.queue) == 1


async def test_waiting_worker_wakes_up(fixture: Fixture) -> None:
    waiting = asyncio.create_task(fixture.queue.get())
    await asyncio.sleep(0)
    fixture.queue.add("a")
    assert await waiting == "a"


async def test_delayed_key_comes_when_it_is_due(fixture: Fixture) -> None:
    fixture.queue.add_after("a", 10)
    assert fixture.at(9.9) == 0
    assert fixture.at(10) == 1


async def test_earlier_of_two_delays_counts(fixture: Fixture) -> None:
    fixture.queue.add_after("a", 10)
    fixture.queue.add_after("a", 5)
    fixture.queue.add_after("a", 20)
    assert fixture.at(5) == 1


async def test_delay_is_forgotten_when_the_key_is_worked_on(fixture: Fixture) -> None:
    fixture.queue.add_after("a", 10)
    fixture.queue.add("a")
    fixture.queue.done(await fixture.queue.get())
    assert fixture.at(10) == 0


async def fail(fixture: Fixture, times: int) -> float:
    """Fail a key so many times in a row and return its last delay."""
    start = 0.0
    for _ in range(times):
        fixture.queue.add("a")
        start = fixture.now
        fixture.queue.failed(await fixture.queue.get())
        while not fixture.at(fixture.now + 0.01):
            pass
    return fixture.now - start


async def test_first_retry_comes_well_within_two_seconds(fixture: Fixture) -> None:
    assert await fail(fixture, 1) < 0.5


async def test_retries_slow_down_but_not_for_ever(fixture: Fixture) -> None:
    assert LAST_RETRY_SECONDS * 0.7 < await fail(fixture, 12) < LAST_RETRY_SECONDS * 1.3


async def test_success_ends_the_slowing_down(fixture: Fixture) -> None:
    await fail(fixture, 6)
    fixture.queue.done(await fixture.queue.get())
    assert await fail(fixture, 1) < 0.5


async def run_worker(fixture: Fixture, reconcile: Callable[[str], Awaitable[float | None]]) -> None:
    """Let a worker empty the line."""
    worker = asyncio.create_task(work(fixture.queue, reconcile))
    for _ in range(20):
        await asyncio.sleep(0)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


async def test_worker_brings_a_key_back_when_it_asks_for_it(fixture: Fixture) -> None:
    async def reconcile(_: str) -> float:
        return 7.0

    fixture.queue.add("a")
    await run_worker(fixture, reconcile)
    assert fixture.at(7) == 1


@pytest.mark.parametrize("error", [NodeproofError("trouble"), ZeroDivisionError()])
async def test_one_key_that_fails_does_not_stop_the_others(
    fixture: Fixture, error: Exception
) -> None:
    done = []

    async def reconcile(key: str) -> None:
        if key == "bad":
            raise error
        done.append(key)

    for key in ("bad", "good"):
        fixture.queue.add(key)
    await run_worker(fixture, reconcile)
    assert done == ["good"]
    assert fixture.at(1) == 1


async def test_key_of_a_worker_that_is_stopped_is_not_lost(fixture: Fixture) -> None:
    started = asyncio.Event()

    async def reconcile(_: str) -> None:
        started.set()
        await asyncio.Event().wait()

    fixture.queue.add("a")
    worker = asyncio.create_task(work(fixture.queue, reconcile))
    await started.wait()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert await fixture.queue.get() == "a"
