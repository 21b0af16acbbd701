"""One term of leadership: everything the Lease holder does, from first list to last write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nodeproof_operator.enforcement.expiry import Sweep
from nodeproof_operator.enforcement.queue import WorkQueue, work
from nodeproof_operator.enforcement.writer import Gate

WORKERS = 8
"""Nodes worked on at once: most of the time goes into waiting for the API server."""


@dataclass(frozen=True, slots=True)
class Term:
    """What runs while this process leads.

    Built anew, with all its parts, for every term: another replica may have led in between, and
    what an earlier term remembers would be out of date.

    Attributes:
        background: Further tasks of the leader: policy status, Events.
    """

    gate: Gate
    queue: WorkQueue
    sweep: Sweep
    reconcile: Callable[[str], Awaitable[float | None]]
    background: tuple[Callable[[], Awaitable[None]], ...] = ()

    async def run(self) -> None:
        """Lead until cancelled. The gate is closed before anything else happens at the end."""
        try:
            await self.sweep.begin()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(WORKERS):
                    tasks.create_task(work(self.queue, self.reconcile))
                tasks.create_task(self.sweep.run())
                for each in self.background:
                    tasks.create_task(_run(each))
        finally:
            self.gate.close()


async def _run(start: Callable[[], Awaitable[None]]) -> None:
    await start()
