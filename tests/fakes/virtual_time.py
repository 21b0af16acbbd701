"""Time that passes only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

SETTLING_ROUNDS = 20
"""Turns of the event loop after which every task waits for time or for the test."""


class VirtualTime:
    """A clock, and sleepers that wake when it reaches their moment."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.seconds + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its moment."""
        end = self.seconds + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, woken = heapq.heappop(self._sleepers)
            self.seconds = max(self.seconds, moment)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self.seconds = end

    def jump(self, seconds: float) -> None:
        """Let time pass without waking anybody: the whole process was stopped."""
        self.seconds += seconds


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(SETTLING_ROUNDS):
        await asyncio.sleep(0)
