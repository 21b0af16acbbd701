"""The work queue: which Nodes to look at next, each at most once at a time.

A key that is added while it is being worked on comes again afterwards; any number of additions in
between are one. Keys may be due later, or come back after a failure with growing delay. There is no
timer inside: ``promote`` moves what is due, whoever calls it.

For one event loop; from other threads use ``loop.call_soon_threadsafe(queue.add, key)``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import structlog

from nodeproof.errors import NodeproofError

FIRST_RETRY_SECONDS = 0.25
"""A lost race is over in milliseconds; a stale write must be repaired within two seconds."""

LAST_RETRY_SECONDS = 30.0

_LOG = structlog.get_logger()


class WorkQueue:
    """Keys to work on, first in, first out.

    Args:
        clock: Seconds on a clock that never goes back.
        random: Spreads retries, so that nodes which failed together do not come back together.
    """

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        self._clock = clock
        self._random = random
        self._ready: dict[str, None] = {}
        self._active: set[str] = set()
        self._again: set[str] = set()
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: str) -> None:
        """Put a key in the line, unless it stands there already."""
        if key in self._active:
            self._again.add(key)
            return
        self._ready.setdefault(key)
        self._wake.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Put a key in the line some seconds from now, or when it is due already if earlier."""
        due = self._clock() + max(0.0, seconds)
        self._due[key] = min(due, self._due.get(key, due))

    def retry(self, key: str) -> None:
        """Put a key in the line after a delay that doubles with every failure in a row."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # 2.0 ** 7 is past the longest delay: the exponent stays small whatever the failures.
        delay = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures, 7))
        self.add_after(key, delay * self._random.uniform(0.75, 1.25))

    def promote(self) -> None:
        """Put every key in the line that is due by now."""
        now = self._clock()
        for key in [key for key, due in self._due.items() if due <= now]:
            del self._due[key]
            self.add(key)

    async def get(self) -> str:
        """Wait for the next key and return it; ``done`` or ``failed`` must follow.

        What was due later for this key is forgotten: whoever works on it knows better.
        """
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._ready))
        del self._ready[key]
        self._due.pop(key, None)
        self._active.add(key)
        return key

    def done(self, key: str, again_seconds: float | None = None) -> None:
        """Finish with a key that succeeded; it may be due again some seconds from now."""
        self._failures.pop(key, None)
        if again_seconds is not None:
            self.add_after(key, again_seconds)
        self._release(key)

    def failed(self, key: str) -> None:
        """Finish with a key that has to be tried again."""
        self.retry(key)
        self._release(key)

    def abandon(self, key: str) -> None:
        """Put a key back that its worker could not finish with."""
        self._again.add(key)
        self._release(key)

    def _release(self, key: str) -> None:
        self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)


async def work(queue: WorkQueue, reconcile: Callable[[str], Awaitable[float | None]]) -> None:
    """Work on one key after the other, for ever.

    Args:
        queue: Where the keys come from.
        reconcile: Works on one key; returns in how many seconds to do so again, None for never.
    """
    while True:
        key = await queue.get()
        try:
            again = await reconcile(key)
        except asyncio.CancelledError:
            queue.abandon(key)
            raise
        except NodeproofError as error:
            _LOG.info("node to be tried again", node=key, reason=error.reason, error=str(error))
            queue.failed(key)
        except Exception:  # noqa: BLE001 - one Node that trips over a bug of ours must not stop all others
            _LOG.exception("reconciling failed", node=key)
            queue.failed(key)
        else:
            queue.done(key, again)
