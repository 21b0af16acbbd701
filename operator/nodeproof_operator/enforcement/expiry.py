"""What time alone brings about: results that expire, and lists that make up for lost events.

Each Node's next moment stands in the queue and is moved to the line when it is due. Watches lose
deletions when they are interrupted, so complete lists are read again from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from random import Random

import structlog

from nodeproof_operator.cluster.errors import ApiError
from nodeproof_operator.enforcement.queue import WorkQueue
from nodeproof_operator.enforcement.writer import Gate

TICK_SECONDS = 0.25
"""How late an expiry may be noticed."""

RELIST_SECONDS = (300.0, 600.0)
"""Between two complete lists, drawn anew each time so that replicas do not list together."""

RELIST_RETRY_SECONDS = 2.0
"""After a list that failed."""

_LOG = structlog.get_logger()


class Sweep:
    """Keeps the queue fed, and opens the gate after the first complete lists.

    Args:
        queue: Of Node names.
        gate: Opened when this process has complete lists of its own.
        relist: Reads complete lists of all kinds into the fleet's view.
        names: Returns every Node that is known or has been assessed: one may have gone unseen.
        clock: Seconds on a clock that never goes back.
        sleep: Waits some seconds.
        random: Draws the time between lists.
    """

    def __init__(
        self,
        queue: WorkQueue,
        gate: Gate,
        *,
        relist: Callable[[], Awaitable[None]],
        names: Callable[[], Iterable[str]],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        random: Random,
    ) -> None:
        self._queue = queue
        self._gate = gate
        self._relist = relist
        self._names = names
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._relist_at = self._next_relist()

    async def begin(self) -> None:
        """Take in complete lists, then open the gate and queue every Node; tries until it can."""
        while not await self._listed():
            await self._sleep(RELIST_RETRY_SECONDS)
        self._gate.open()
        self.queue_all()

    async def run(self) -> None:
        """Move what is due and list again in time, for ever; a slow list delays no expiry."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._promote())
            tasks.create_task(self._list())

    def list_soon(self) -> None:
        """Read complete lists as soon as may be: events have been lost."""
        self._relist_at = min(self._relist_at, self._clock() + RELIST_RETRY_SECONDS)

    def queue_all(self) -> None:
        """Queue every Node, as after a change of a policy or of reference values."""
        for name in self._names():
            self._queue.add(name)

    async def _promote(self) -> None:
        while True:
            await self._sleep(TICK_SECONDS)
            self._queue.promote()

    async def _list(self) -> None:
        while True:
            await self._sleep(TICK_SECONDS)
            if self._clock() < self._relist_at:
                continue
            self._relist_at = self._next_relist()
            if await self._listed():
                self.queue_all()
            else:
                self.list_soon()

    async def _listed(self) -> bool:
        try:
            await self._relist()
        except ApiError as error:
            _LOG.warning("complete lists failed", reason=error.reason, error=str(error))
            return False
        return True

    def _next_relist(self) -> float:
        return self._clock() + self._random.uniform(*RELIST_SECONDS)
