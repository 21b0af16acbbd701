from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import kopf
import pytest

from nodeproof_operator.cluster import runner
from nodeproof_operator.cluster.connection import Credentials
from nodeproof_operator.cluster.handlers import register
from nodeproof_operator.cluster.kinds import Kind
from nodeproof_operator.cluster.kopf_settings import NothingKept, quieten, settings
from nodeproof_operator.cluster.runner import MAX_DEATHS, Runner, WatchingFailed

CREDENTIALS = Credentials("https://x:6443", None, "Bearer", "hush", None, None, insecure=False)
Operator = Callable[..., Awaitable[None]]


async def log_in() -> Credentials:
    return CREDENTIALS


async def no_pause(seconds: float) -> None:
    assert seconds > 0


@pytest.fixture(autouse=True)
def _nothing_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "TLS_CLOSE_SECONDS", 0.0)


class World:
    """A runner over something that stands for kopf."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, operator: Operator) -> None:
        monkeypatch.setattr(kopf, "operator", operator)
        self.deaths = 0
        self.delivered: list[tuple[Kind, str | None, str]] = []
        self.runner = Runner(log_in, self.deliver, self.die, clock=lambda: 0.0, sleep=no_pause)

    def deliver(self, kind: Kind, event_type: str | None, body: Any) -> None:
        assert body == {}
        self.delivered.append((kind, event_type, threading.current_thread().name))

    def die(self) -> None:
        self.deaths += 1


@pytest.fixture
async def stopping() -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_starts_kopf_again_when_it_ends_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def end(**_: Any) -> None:
        await asyncio.sleep(0)

    world = World(monkeypatch, end)
    with pytest.raises(WatchingFailed):
        await world.runner.run()
    assert world.deaths == MAX_DEATHS + 1


async def test_says_why_kopf_keeps_dying(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(**_: Any) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("watching failed")

    world = World(monkeypatch, fail)
    with pytest.raises(WatchingFailed, match="watching failed"):
        await world.runner.run()


async def test_forgives_deaths_long_ago(
    monkeypatch: pytest.MonkeyPatch, stopping: list[asyncio.Task[None]]
) -> None:
    lives = 0
    living = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def die_often_then_live(*, stop_flag: asyncio.Event, **_: Any) -> None:
        nonlocal lives
        lives += 1
        if lives > 3 * MAX_DEATHS:
            loop.call_soon_threadsafe(living.set)
            await stop_flag.wait()

    world = World(monkeypatch, die_often_then_live)
    world.runner._clock = lambda: lives * 3600.0
    stopping.append(asyncio.create_task(world.runner.run()))
    await living.wait()
    assert world.deaths == 3 * MAX_DEATHS


async def test_stops_kopf_and_waits_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    ended: list[str] = []

    async def live(*, stop_flag: asyncio.Event, **_: Any) -> None:
        loop.call_soon_threadsafe(began.set)
        await stop_flag.wait()
        ended.append("ended")

    world = World(monkeypatch, live)
    task = asyncio.create_task(world.runner.run())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (ended, world.deaths) == (["ended"], 0)


async def test_stops_kopf_that_has_not_quite_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    async def live(*, stop_flag: asyncio.Event, **_: Any) -> None:
        await stop_flag.wait()

    world = World(monkeypatch, live)
    task = asyncio.create_task(world.runner.run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert world.deaths == 0


async def test_gives_up_a_kopf_that_stops_watching_but_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stop_watching(*, registry: kopf.OperatorRegistry, **_: Any) -> None:
        for handler in registry._activities.get_all_handlers():
            if handler.id == "ending":
                fn: Any = handler.fn
                await fn()
        await asyncio.Event().wait()

    monkeypatch.setattr(runner, "ENDING_SECONDS", 0.01)
    world = World(monkeypatch, stop_watching)
    with pytest.raises(WatchingFailed, match="does not end"):
        await world.runner.run()
    assert world.deaths == MAX_DEATHS + 1


async def test_delivers_events_in_the_owners_thread(
    monkeypatch: pytest.MonkeyPatch, stopping: list[asyncio.Task[None]]
) -> None:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def emit(*, registry: kopf.OperatorRegistry, stop_flag: asyncio.Event, **_: Any) -> None:
        handlers = registry._watching.get_all_handlers()
        assert len(handlers) == len(Kind)
        for handler in handlers:
            fn: Any = handler.fn
            assert await fn(event={"type": "ADDED", "object": {}}) is None
        loop.call_soon_threadsafe(done.set)
        await stop_flag.wait()

    world = World(monkeypatch, emit)
    stopping.append(asyncio.create_task(world.runner.run()))
    await done.wait()
    assert world.delivered == [(kind, "ADDED", "MainThread") for kind in Kind]


def test_registers_nothing_but_login_and_events() -> None:
    registry = kopf.OperatorRegistry()
    register(registry, log_in, lambda *_: None)
    assert not registry._changing.get_all_handlers()
    assert not registry._spawning.get_all_handlers()
    assert not registry._indexing.get_all_handlers()
    assert not registry._webhooks.get_all_handlers()


def test_lets_nobody_know_the_name_of_kopfs_finalizer() -> None:
    names = {settings().persistence.finalizer for _ in range(3)}
    assert len(names) == 3
    assert "kopf.zalando.org/KopfFinalizerMarker" not in names


def test_lets_kopf_neither_ask_for_more_rights_nor_kill_the_process() -> None:
    made = settings()
    assert made.process.ultimate_exiting_timeout is None
    assert made.scanning.disabled
    assert made.peering.standalone
    assert not made.posting.enabled


def test_computes_and_keeps_no_last_handled_state() -> None:
    storage = NothingKept()
    body = kopf.Body({"metadata": {"name": "node-1"}})
    patch = kopf.Patch()
    storage.store(body=body, patch=patch, essence={})
    assert (storage.build(body=body), storage.fetch(body=body), dict(patch)) == ({}, None, {})


def test_keeps_kopf_from_logging_each_event() -> None:
    quieten()
    assert not logging.getLogger("kopf.objects").isEnabledFor(logging.INFO)
