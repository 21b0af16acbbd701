"""Where signatures are checked: a few threads and a short line before them.

The event loop stays free for cheap refusals, and a flood of evidence waits no longer than an agent
would: what does not fit in the line is sent away with a time to come back.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from nodeproof.errors import Overloaded

MAX_WORKERS = 4
"""One verification takes about a millisecond: four cores serve far more nodes than one cluster."""

MAX_WAITING = 256
"""Verifications in the line: well under a second of work on one core."""

RETRY_SECONDS = 2

Result = TypeVar("Result")


def default_workers() -> int:
    """Return the number of threads for this machine."""
    return min(MAX_WORKERS, os.cpu_count() or 1)


class VerificationPool:
    """Runs verifications, never more at once than it has places.

    Args:
        observe: Told how many seconds each verification took, its place in the line not counted.
        workers: Threads.
        waiting: Places in the line before them.
        clock: Seconds on a clock that never goes back.
    """

    def __init__(
        self,
        observe: Callable[[float], None],
        *,
        workers: int | None = None,
        waiting: int = MAX_WAITING,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        threads = workers or default_workers()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="verification")
        self._places = threading.BoundedSemaphore(threads + waiting)
        self._observe = observe
        self._clock = clock

    async def run(self, verify: Callable[[], Result]) -> Result:
        """Return what ``verify`` returns, or raise what it raises.

        Raises:
            Overloaded: The line is full; ``verify`` was not called.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded("too much evidence at once", retry_after_seconds=RETRY_SECONDS)
        future = self._executor.submit(self._timed, verify)
        # Also when the caller has gone away: a thread that is at work still has its place.
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _timed(self, verify: Callable[[], Result]) -> Result:
        start = self._clock()
        try:
            return verify()
        finally:
            self._observe(self._clock() - start)
