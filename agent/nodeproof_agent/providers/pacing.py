"""One report at a time on a machine, and not too many: what every hardware provider keeps to.

A host throttles guests that ask too often, and some kernels give the key to the firmware up when it
does. The kernel's own lock keeps requests apart; this one keeps them from queueing up in there.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

INTERVAL_SECONDS = 2.0
"""Time between two requests; hosts throttle a guest that asks more often."""

PATIENCE_SECONDS = 10.0
"""How long to wait for another process's report, which takes milliseconds unless throttled."""

_POLL_SECONDS = 0.1

_log = structlog.get_logger()


class Pacing:
    """Turns at the interface of one machine, across processes and containers.

    The lock is ``flock`` on the interface itself, so it needs no directory of its own, holds in
    every container that sees the interface, and ends with its process however that ends. Whoever
    can open the interface can hold it too: it is a courtesy, and nobody is waited for without end.
    """

    def __init__(
        self,
        interface: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep to turns.

        Args:
            interface: What is locked: a device or a directory that exists when a turn begins.
            clock: Monotonic seconds.
            sleep: Waits so many seconds.
        """
        self._interface = interface
        self._clock = clock
        self._sleep = sleep
        self._last: float | None = None

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Hold the lock for one request, not too soon after the last; the value is as of ``lock``.

        Raises:
            OSError: The interface cannot be opened.
        """
        with self.lock() as alone:
            self._pause()
            try:
                yield alone
            finally:
                self._last = self._clock()

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the lock for something that asks no firmware; the value is whether it is ours.

        It is not if another process has held it for longer than we wait; then it is said in the
        log, and we go on all the same.

        Raises:
            OSError: The interface cannot be opened.
        """
        handle = os.open(self._interface, os.O_RDONLY)
        try:
            yield self._lock(handle)
        finally:
            os.close(handle)

    def _lock(self, handle: int) -> bool:
        deadline = self._clock() + PATIENCE_SECONDS
        while not _locked(handle):
            if self._clock() >= deadline:
                _log.warning(
                    "another process holds the platform's lock; going on without it",
                    path=str(self._interface),
                    expected=f"within {PATIENCE_SECONDS:g} s",
                )
                return False
            self._sleep(_POLL_SECONDS)
            # The other one has just asked, so the interval begins now.
            self._last = self._clock()
        return True

    def _pause(self) -> None:
        if self._last is None:
            return
        remaining = self._last + INTERVAL_SECONDS - self._clock()
        if remaining > 0:
            self._sleep(remaining)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
