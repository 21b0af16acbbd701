"""The cheap refusals: who asks too often, and which tokens have just been refused.

Both tables are bounded, so that a flood of made-up callers costs memory once and no more. What
falls out of them is forgotten: that gives a caller a full bucket or one more TokenReview.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from nodeproof.errors import AuthenticationError
from nodeproof_operator.intake.errors import RateLimited

Monotonic = Callable[[], float]
"""Seconds on a clock that never goes back, such as ``time.monotonic``."""

REFUSED_TOKEN_SECONDS = 10.0
"""How long a refusal is repeated without asking; the API server keeps its own answers as long."""

MAX_REFUSED_TOKENS = 4096
"""Refused tokens that are remembered; each is 32 bytes and a few words."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What one caller may ask: ``burst`` requests at once, ``per_second`` in the long run.

    Attributes:
        callers: How many callers are remembered; the one that was silent longest is forgotten.
    """

    per_second: float
    burst: int
    callers: int


ADDRESS_RATE = Rate(per_second=20.0, burst=200, callers=8192)
"""Per remote address. Wide, because a network may hide many nodes behind one address."""

NODE_RATE = Rate(per_second=0.5, burst=12, callers=16384)
"""Per authenticated node: one attestation is two requests, and starts repeat a few times."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled: float


class RateLimiter:
    """Token buckets, one for each caller."""

    def __init__(self, rate: Rate, clock: Monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, caller: str) -> None:
        """Count one request of ``caller``.

        Raises:
            RateLimited: Its bucket is empty.
        """
        bucket = self._bucket(caller)
        if bucket.tokens < 1:
            seconds = math.ceil((1 - bucket.tokens) / self._rate.per_second)
            raise RateLimited("too many requests", retry_after_seconds=seconds)
        bucket.tokens -= 1

    def _bucket(self, caller: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(caller, _Bucket(self._rate.burst, now))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > self._rate.callers:
            self._buckets.popitem(last=False)
        earned = (now - bucket.filled) * self._rate.per_second
        bucket.tokens = min(self._rate.burst, bucket.tokens + earned)
        bucket.filled = now
        return bucket


@dataclass(frozen=True, slots=True)
class _Refused:
    kind: type[AuthenticationError]
    message: str
    expected: str
    observed: str
    until: float

    def repeat(self) -> NoReturn:
        raise self.kind(self.message, expected=self.expected, observed=self.observed)


class RefusedTokens:
    """Tokens that were refused a moment ago, by their SHA-256: asking again is not worth it."""

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._refused: OrderedDict[bytes, _Refused] = OrderedDict()

    def check(self, digest: bytes) -> None:
        """Check that a token has not just been refused.

        Raises:
            AuthenticationError: It has: the same refusal again.
        """
        refused = self._refused.get(digest)
        if refused is not None and self._clock() < refused.until:
            refused.repeat()

    def remember(self, digest: bytes, error: AuthenticationError) -> None:
        """Repeat ``error`` for this token during the next ``REFUSED_TOKEN_SECONDS``."""
        until = self._clock() + REFUSED_TOKEN_SECONDS
        self._refused[digest] = _Refused(
            type(error), error.message, error.expected, error.observed, until
        )
        self._refused.move_to_end(digest)
        if len(self._refused) > MAX_REFUSED_TOKENS:
            self._refused.popitem(last=False)
