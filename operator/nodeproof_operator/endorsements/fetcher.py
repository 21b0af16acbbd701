"""Asks AMD's key service for what is missing: one thing after the other, slowly, and fairly."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from random import Random

import structlog

from nodeproof.errors import NodeproofError, VerificationError
from nodeproof.sevsnp.kds import CollateralName
from nodeproof_operator.endorsements.errors import (
    AnswerTooLarge,
    KDSError,
    NotOffered,
    Throttled,
)
from nodeproof_operator.endorsements.kds import KDS
from nodeproof_operator.endorsements.lanes import MAX_NODES, Demand, Key, Lanes, Turn
from nodeproof_operator.endorsements.pacing import REQUEST_SECONDS, Clock, GrowingPauses, Pace

__all__ = ["ACCEPTED", "Demand", "Fetcher"]

ACCEPTED = "Accepted"
"""How a success is counted; every failure is counted by its reason."""

MIN_AGAIN_SECONDS = 5
MAX_AGAIN_SECONDS = 300
"""Bounds of what a caller is told; the longest is an agent's usual interval."""

FIRST_REFUSAL_SECONDS = 600.0
LAST_REFUSAL_SECONDS = 6 * 3600.0
"""How long nobody asks again for what is not offered or does not verify. It ends, because the KDS
also answers 404 during outages, and a mirror may be mended."""

FIRST_TURN_SECONDS = 30.0
LAST_TURN_SECONDS = 3600.0
"""From one turn of a node to its next: who needs many VCEKs has invented them."""

FIRST_RETRY_SECONDS = 30.0
LAST_RETRY_SECONDS = 300.0
"""From a try that the KDS did not answer to the next on the same turn; others go first."""

REMEMBERED = 4096
"""Names whose failures are remembered; each is a few hundred bytes."""

_SPREAD = 0.2
_POLL_SECONDS = 1.0
_logger = structlog.get_logger()


class Fetcher:
    """Fetches what is wanted; ``run`` it in one task, call the rest from the same event loop.

    Args:
        kds: Where it is asked for.
        accept: Verifies what came for a name and keeps it; raises VerificationError to refuse it.
        clock: Seconds on a clock that never goes back.
        sleep: Waits so many seconds.
        random: For jitter.
        count: Told the outcome of every request: ``ACCEPTED`` or the reason of the error.
    """

    def __init__(
        self,
        kds: KDS,
        accept: Callable[[CollateralName, bytes], None],
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        random: Random,
        count: Callable[[str], None],
    ) -> None:
        self._kds = kds
        self._accept = accept
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._count = count
        self._lanes = Lanes()
        self._pace = Pace(clock, random)
        self._refusals: GrowingPauses[CollateralName] = GrowingPauses(
            FIRST_REFUSAL_SECONDS, LAST_REFUSAL_SECONDS, keys=REMEMBERED, clock=clock
        )
        self._turns: GrowingPauses[Key] = GrowingPauses(
            FIRST_TURN_SECONDS, LAST_TURN_SECONDS, keys=MAX_NODES, clock=clock
        )
        self._retries: GrowingPauses[Key] = GrowingPauses(
            FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS, keys=MAX_NODES, clock=clock
        )
        self._troubles: OrderedDict[CollateralName, str] = OrderedDict()
        self._service_trouble = ""
        self._wake = asyncio.Event()

    @property
    def depth(self) -> int:
        """How many names are waited for."""
        return len(self._lanes)

    def want(self, name: CollateralName, demand: Demand | None) -> int:
        """Queue a name and return in how many seconds to look again, 5 to 300.

        A name that waits already is not queued twice. One that was refused a while ago is not
        queued at all.

        Args:
            name: What is missing.
            demand: The node that waits for it; None if none does yet.
        """
        refused = self._refusals.until(name) - self._clock()
        if refused > 0:
            return _bounded(refused)
        not_before = 0.0 if demand is None else self._turns.until(demand.node_uid)
        if not self._lanes.add(name, demand, not_before):
            return MAX_AGAIN_SECONDS
        self._wake.set()
        return self._again(name, demand, not_before)

    def trouble(self, name: CollateralName) -> str:
        """Return why the last try for a name failed, "" if it did not.

        Of a name that was not tried, it is what keeps the service from being asked at all.
        """
        own = self._troubles.get(name, "")
        return own or (self._service_trouble if self._pace.paused_seconds() else "")

    def refused(self, name: CollateralName) -> bool:
        """Tell whether nothing that verifies was to be had under a name a while ago."""
        return self._refusals.until(name) > self._clock()

    async def run(self) -> None:
        """Fetch what is wanted, one thing after the other, until cancelled."""
        while True:
            turn = await self._next()
            self._pace.take()
            await self._fetch(turn)

    async def _next(self) -> Turn:
        """Wait for a turn and for the time when it may be taken."""
        while True:
            if not self._lanes:
                self._wake.clear()
                await self._wake.wait()
            # Who is next is decided at the last moment: somebody more urgent may have come.
            elif wait := self._pace.wait_seconds():
                await self._sleep(wait)
            elif turn := self._lanes.next(self._clock()):
                return turn
            else:
                await self._sleep(_POLL_SECONDS)

    async def _fetch(self, turn: Turn) -> None:
        try:
            data = await self._kds.get(turn.name)
            self._accept(turn.name, data)
        except (NotOffered, AnswerTooLarge, VerificationError) as error:
            self._refused(turn, error)
        except KDSError as error:
            self._unanswered(turn, error)
        except Exception as error:
            # A bug of ours that one answer trips over must not end all fetching.
            _logger.exception("collateral could not be handled", name=str(turn.name))
            self._refused(turn, NodeproofError(type(error).__name__))
        else:
            self._kept(turn)

    def _kept(self, turn: Turn) -> None:
        _logger.info("collateral fetched", name=str(turn.name))
        self._count(ACCEPTED)
        self._troubles.pop(turn.name, None)
        self._end(turn)

    def _refused(self, turn: Turn, error: NodeproofError) -> None:
        """Remember that the KDS has no such thing, or none that verifies."""
        self._note(turn, error)
        self._refusals.grow(turn.name)
        self._end(turn)

    def _end(self, turn: Turn) -> None:
        """End a turn that was answered: whoever has more wishes stands in the line anew."""
        self._pace.answered()
        is_nodes = isinstance(turn.key, str)
        self._lanes.finish(turn, self._turns.grow(turn.key) if is_nodes else 0.0)

    def _unanswered(self, turn: Turn, error: KDSError) -> None:
        """Leave the service alone for a while."""
        self._note(turn, error)
        self._service_trouble = str(error)
        self._pace.failed(error.retry_after_seconds)
        if not isinstance(error, Throttled):
            # It may be this one thing that the service fails at: others are tried first.
            self._lanes.delay(turn, self._retries.grow(turn.key))

    def _note(self, turn: Turn, error: NodeproofError) -> None:
        _logger.warning(
            "collateral not fetched", name=str(turn.name), reason=error.reason, error=str(error)
        )
        self._count(error.reason)
        self._troubles.pop(turn.name, None)
        self._troubles[turn.name] = str(error)
        if len(self._troubles) > REMEMBERED:
            self._troubles.popitem(last=False)

    def _again(self, name: CollateralName, demand: Demand | None, not_before: float) -> int:
        turns = self._pace.wait_seconds() + REQUEST_SECONDS * self._lanes.ahead(name, demand)
        seconds = max(turns, not_before - self._clock())
        # Spread upwards only: who comes before its turn comes for nothing.
        longest = MAX_AGAIN_SECONDS / (1 + _SPREAD)
        seconds = min(max(seconds, MIN_AGAIN_SECONDS), longest)
        return _bounded(seconds * self._random.uniform(1.0, 1.0 + _SPREAD))


def _bounded(seconds: float) -> int:
    return min(max(math.ceil(seconds), MIN_AGAIN_SECONDS), MAX_AGAIN_SECONDS)
