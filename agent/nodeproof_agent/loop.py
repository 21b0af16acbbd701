"""When to attest: at start, when the operator said so, on SIGHUP, and after a failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

import structlog

from nodeproof.errors import NodeproofError
from nodeproof.protocol import EvidenceReceipt
from nodeproof.unavailability import CAUSES
from nodeproof_agent.backoff import Backoff
from nodeproof_agent.errors import OperatorRefused, ProviderFailed, reason_of
from nodeproof_agent.metrics import Metrics

MIN_INTERVAL_SECONDS = 1.0
MAX_INTERVAL_SECONDS = 86_400.0
"""What an operator can ask for: no spinning, and no longer than any result lives."""

ROUND_SECONDS = 1200.0
"""Longer than any round can take: three challenges, each with all its timeouts."""

LATE_SECONDS = 30.0
"""How late a sleeper may wake on a busy machine before the loop counts as stuck."""

HASTY_FAILURES = 6
"""For so many rounds, about a minute, a missing platform is looked for without being patient: when
a node boots, its driver may be loaded after the agent has started."""

MAX_TEXT = 200
"""Characters of an operator's words that are logged."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the loop needs it; tests bring their own."""

    timestamp: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Health:
    """What the loop can say of itself.

    Attributes:
        alive: Whether it does its work; a node that fails to attest is alive.
        last_reason: Why the last round failed; empty if it did not, or before the first.
        failures: Failed rounds in a row.
    """

    alive: bool
    last_reason: str
    failures: int


@dataclass(slots=True)
class AttestationLoop:
    """Attests until it is cancelled.

    Attributes:
        attest: One round.
        metrics: Told of every round.
        random: For the jitter of the backoff.
        clock: Time.
    """

    attest: Callable[[], Awaitable[EvidenceReceipt]]
    metrics: Metrics
    random: Random = field(default_factory=Random)
    clock: Clock = field(default_factory=Clock)
    _wake: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _failures: int = field(init=False, default=0)
    _last_reason: str = field(init=False, default="")
    _sign_of_life_due: float | None = field(init=False, default=None)

    async def run(self) -> None:
        """Attest at once, and then whenever it is time; returns only when cancelled."""
        while True:
            self._wake.clear()
            self._promise(ROUND_SECONDS)
            delay = await self._round()
            self._promise(delay + LATE_SECONDS)
            await self._pause(delay)

    def attest_now(self) -> None:
        """Do a round at once, or right after the one that is under way."""
        self._wake.set()

    def health(self) -> Health:
        """Tell how the loop is doing, without waiting for it."""
        due = self._sign_of_life_due
        return Health(
            alive=due is not None and self.clock.monotonic() <= due,
            last_reason=self._last_reason,
            failures=self._failures,
        )

    def _promise(self, seconds: float) -> None:
        self._sign_of_life_due = self.clock.monotonic() + seconds

    async def _round(self) -> float:
        """Do one round and return the seconds until the next."""
        started = self.clock.monotonic()
        try:
            receipt = await self.attest()
        except Exception as error:  # noqa: BLE001 - our own faults too: a dead agent helps nobody
            return self._failed(error, self.clock.monotonic() - started)
        return self._succeeded(receipt, self.clock.monotonic() - started)

    def _succeeded(self, receipt: EvidenceReceipt, seconds: float) -> float:
        delay = min(max(receipt.next_seconds, MIN_INTERVAL_SECONDS), MAX_INTERVAL_SECONDS)
        self._failures, self._last_reason = 0, ""
        self.metrics.succeeded(timestamp=self.clock.timestamp(), seconds=seconds)
        _log.info(
            "evidence accepted",
            sequence=receipt.sequence,
            seconds=round(seconds, 3),
            next_seconds=round(delay, 1),
        )
        return delay

    def _failed(self, error: Exception, seconds: float) -> float:
        reason = reason_of(error)
        self._failures, self._last_reason = self._failures + 1, reason
        self.metrics.failed(reason=reason, seconds=seconds)
        delay = Backoff(self.random).delay(self._failures, self._asked(error))
        _log.warning(
            "attestation failed",
            reason=reason,
            failures=self._failures,
            next_seconds=round(delay, 1),
            **_facts(error),
        )
        return delay

    def _asked(self, error: Exception) -> float | None:
        """Return how long the operator asked us to wait.

        A platform that is lastingly missing is looked for as rarely as one that works is asked.
        """
        if isinstance(error, ProviderFailed) and error.next_seconds is not None:
            patient = CAUSES[error.cause].lasting and self._failures > HASTY_FAILURES
            return error.next_seconds if patient else None
        if isinstance(error, ProviderFailed | OperatorRefused):
            return error.retry_after_seconds
        return None

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until somebody asks for a round."""
        sleeping = asyncio.ensure_future(self.clock.sleep(seconds))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()


def _facts(error: Exception) -> dict[str, object]:
    """Return what a log should say of a failure; an operator's words are cut to a line's length."""
    if not isinstance(error, NodeproofError):
        return {"exc_info": error}
    words = {"message": error.message, "expected": error.expected, "observed": error.observed}
    if isinstance(error, OperatorRefused):
        words["refused_for"] = error.refused_for
    if isinstance(error, ProviderFailed):
        words["remedy"] = CAUSES[error.cause].remedy
    return {key: word[:MAX_TEXT] for key, word in words.items() if word}
