"""Time for code that blocks: it passes when somebody sleeps."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass
class BlockingTime:
    """A monotonic clock and its ``sleep``.

    Attributes:
        now: Seconds.
        slept: How long each sleep was.
        breath: Seconds of real time given to other threads in each sleep.
    """

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    breath: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
            self.slept.append(seconds)
        if self.breath:
            time.sleep(self.breath)
