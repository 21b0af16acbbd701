"""How often AMD's key service is asked, and how long nobody asks after a failure. Pure.

All times are seconds on one clock that never goes back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

Clock = Callable[[], float]

REQUEST_SECONDS = 10.0
"""Between two requests in the long run.

AMD documents no limit. go-sev-guest (``verify/trust/trust.go``) notes that a request is throttled
to about one in ten seconds; all of ours go through one bucket, whatever they ask for. Replicas of
the operator behind one address have a bucket each: together they may be told to slow down.
"""

BURST = 3
"""Requests at once after some quiet: the chain, the list and the VCEK of a first node."""

FIRST_BACKOFF_SECONDS = 10.0
LAST_BACKOFF_SECONDS = 900.0
"""Bounds of the pause after a failure; one client saw a block outlast two minutes of retries."""

MIN_RETRY_AFTER_SECONDS = 1.0
MAX_RETRY_AFTER_SECONDS = 3600.0
"""Bounds of what a server may ask for: one that says "next year" must not silence us."""

_QUIET_SECONDS = (BURST - 1) * REQUEST_SECONDS
"""After so much quiet since the last request was due, a whole burst may follow."""

_LARGEST_EXPONENT = 32  # past every longest pause, and far from overflow


class Pace:
    """When the next request may be sent: a token bucket, and a pause after failures."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._next_at = clock() - _QUIET_SECONDS
        """When the next request may be sent; the further back, the more may follow at once."""
        self._paused_until = clock()
        self._failures = 0

    def paused_seconds(self) -> float:
        """Return how long the pause after a failure goes on, 0 without one."""
        return max(0.0, self._paused_until - self._clock())

    def wait_seconds(self) -> float:
        """Return in how many seconds the next request may be sent, 0 for now."""
        return max(0.0, self._next_at - self._clock())

    def take(self) -> None:
        """Count one request; ``wait_seconds`` was 0."""
        self._next_at = max(self._next_at, self._clock() - _QUIET_SECONDS) + REQUEST_SECONDS

    def answered(self) -> None:
        """End the growing of pauses: the server does its work."""
        self._failures = 0

    def failed(self, retry_after: float | None) -> None:
        """Pause as the server asks, or for a random time that grows with every failure in a row."""
        self._failures += 1
        now = self._clock()
        self._paused_until = now + self._pause(retry_after)
        # The quiet of a pause is no credit: one request tries whether it is over.
        self._next_at = max(self._paused_until, now + REQUEST_SECONDS)

    def _pause(self, retry_after: float | None) -> float:
        if retry_after is not None:
            return min(max(retry_after, MIN_RETRY_AFTER_SECONDS), MAX_RETRY_AFTER_SECONDS)
        longest = FIRST_BACKOFF_SECONDS * 2.0 ** min(self._failures, _LARGEST_EXPONENT)
        # Over the whole range, so that replicas which failed together do not come back together.
        return self._random.uniform(FIRST_BACKOFF_SECONDS, min(longest, LAST_BACKOFF_SECONDS))


@dataclass(slots=True)
class _Growing:
    times: int
    until: float


_Key = TypeVar("_Key", bound=Hashable)


class GrowingPauses(Generic[_Key]):
    """Pauses of many keys, each twice as long as the one before; bounded.

    A key whose last pause has been over for ``last_seconds`` begins anew. Of more than ``keys``,
    the one that was paused longest ago is forgotten.
    """

    def __init__(
        self, first_seconds: float, last_seconds: float, *, keys: int, clock: Clock
    ) -> None:
        self._first = first_seconds
        self._last = last_seconds
        self._keys = keys
        self._clock = clock
        self._pauses: OrderedDict[_Key, _Growing] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pauses)

    def grow(self, key: _Key) -> float:
        """Begin the next pause of a key and return its end."""
        now = self._clock()
        known = self._pauses.pop(key, None)
        times = 0 if known is None or known.until + self._last < now else known.times
        length = min(self._last, self._first * 2.0 ** min(times, _LARGEST_EXPONENT))
        self._pauses[key] = _Growing(times + 1, now + length)
        if len(self._pauses) > self._keys:
            self._pauses.popitem(last=False)
        return now + length

    def until(self, key: _Key) -> float:
        """Return when the pause of a key ends or has ended, 0 if it never had one."""
        known = self._pauses.get(key)
        return 0.0 if known is None else known.until
