"""kopf in a thread and event loop of its own, started again when it dies.

Of its own, because at its end kopf cancels every task of its loop; and so that a long list it
decodes does not hold up the answers to agents.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import kopf
import structlog

from nodeproof.errors import NodeproofError
from nodeproof_operator.cluster import kopf_settings
from nodeproof_operator.cluster.connection import CredentialsSource
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.handlers import Deliver, register
from nodeproof_operator.cluster.kinds import Kind

MAX_DEATHS = 5
"""Deaths within ``DEATHS_WINDOW_SECONDS`` that are mended by starting kopf again."""

DEATHS_WINDOW_SECONDS = 600.0

RESTART_PAUSE_SECONDS = 2.0

ENDING_SECONDS = 8.0
"""How long kopf may take to end. Asked to, it took 0.2 s when measured; when one of several watches
fails it takes 5 s, or for ever: the other watches then wait for a login that nobody makes."""

STOP_SECONDS = ENDING_SECONDS + 2.0
"""How long its thread is waited for."""

TLS_CLOSE_SECONDS = 0.25
"""For connections to say goodbye before their loop ends (aiohttp, "Graceful Shutdown")."""

_logger = structlog.get_logger()


class WatchingFailed(NodeproofError):
    """kopf keeps dying: a fresh process should try."""


class Runner:
    """Runs kopf and delivers its events to the loop that runs this.

    Usage: ``run`` in one task; cancel it to stop.
    """

    def __init__(
        self,
        login: CredentialsSource,
        deliver: Deliver,
        on_death: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare a runner.

        Args:
            login: Reads the credentials anew; called in kopf's loop.
            deliver: Called for each event, in the loop that runs this, in order for each object.
            on_death: Called when kopf has ended unasked, before it is started again: what happened
                meanwhile must be found by listing.
            clock: Seconds of a clock that nobody sets.
            sleep: Waits so many seconds.
        """
        self._login = login
        self._deliver = deliver
        self._on_death = on_death
        self._clock = clock
        self._sleep = sleep

    async def run(self) -> None:
        """Run kopf until cancelled.

        Raises:
            WatchingFailed: It died too often.
        """
        deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        kopf_settings.quieten()
        while True:
            error = await self._run_once()
            _logger.error("kopf ended unasked", error=repr(error))
            self._on_death()
            now = self._clock()
            if len(deaths) == MAX_DEATHS and now - deaths[0] < DEATHS_WINDOW_SECONDS:
                raise WatchingFailed("kopf keeps dying", observed=repr(error)) from error
            deaths.append(now)
            await self._sleep(RESTART_PAUSE_SECONDS)

    async def _run_once(self) -> BaseException | None:
        """Run one kopf to its end; return what ended it."""
        loop = asyncio.get_running_loop()
        registry = kopf.OperatorRegistry()
        register(registry, self._login, _across(loop, self._deliver))
        life = _Life(registry, loop)
        life.start()
        try:
            return await asyncio.shield(life.ended)
        finally:
            life.stop()
            await asyncio.wait([life.ended], timeout=STOP_SECONDS)


class _Life:
    """One run of kopf in its thread."""

    def __init__(self, registry: kopf.OperatorRegistry, loop: asyncio.AbstractEventLoop) -> None:
        self.ended: asyncio.Future[BaseException | None] = loop.create_future()
        self._registry = registry
        self._owner = loop
        self._thread = threading.Thread(target=self._work, name="kopf", daemon=True)
        self._stop: Callable[[], None] | None = None
        self._stopping = False
        self._lock = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask kopf to end, also if it has not quite begun; from any thread, any number of times."""
        with self._lock:
            self._stopping = True
            if self._stop is not None:
                self._stop()

    def _work(self) -> None:
        error: BaseException | None = None
        # Not asyncio.run: it waits for every task in the end, and a dying kopf's may not end.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._operate(loop))
        except BaseException as caught:  # noqa: BLE001 - the thread's last word goes to its owner
            error = caught
        finally:
            loop.close()
        _call_in(self._owner, self._finish, error)

    def _finish(self, error: BaseException | None) -> None:
        if not self.ended.done():
            self.ended.set_result(error)

    async def _operate(self, loop: asyncio.AbstractEventLoop) -> None:
        # kopf waits for a threading.Event in a pool thread that would outlive it: not for this one.
        flag = asyncio.Event()
        with self._lock:
            self._stop = lambda: _call_in(loop, flag.set)
            if self._stopping:
                return
        ending = asyncio.create_task(self._ending())
        operator = asyncio.create_task(_operator(self._registry, flag))
        await asyncio.wait({operator, ending}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({operator}, timeout=ENDING_SECONDS)
        ending.cancel()
        if not operator.done():
            raise WatchingFailed("kopf has stopped watching but does not end")
        await asyncio.sleep(TLS_CLOSE_SECONDS)
        await operator

    async def _ending(self) -> None:
        """Return once kopf is about to end, asked or unasked."""
        begun = asyncio.Event()

        @kopf.on.cleanup(registry=self._registry, id="ending")
        async def note(**_: Any) -> None:
            begun.set()

        await begun.wait()


async def _operator(registry: kopf.OperatorRegistry, stop_flag: asyncio.Event) -> None:
    await kopf.operator(
        registry=registry,
        settings=kopf_settings.settings(),
        standalone=True,
        clusterwide=True,
        stop_flag=stop_flag,
    )


def _across(loop: asyncio.AbstractEventLoop, deliver: Deliver) -> Deliver:
    """Return a ``deliver`` that may be called from kopf's thread."""

    def hand_over(kind: Kind, event_type: str | None, body: Json) -> None:
        _call_in(loop, deliver, kind, event_type, body)

    return hand_over


def _call_in(
    loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: object
) -> None:
    """Call a function in another thread's loop, unless that has closed: nobody waits then."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)
