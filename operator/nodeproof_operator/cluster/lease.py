"""Which replica may write Nodes: the holder of one Lease.

Nobody's wall clock is believed. A holder counts its time from the moment before it asked to renew;
others count from the moment they saw the Lease change. A holder gives up well before others may
take over, so a late answer, a stopped process or a slow API server makes nobody lead, never two.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from nodeproof_operator.cluster.errors import ApiError, Conflict, NotFound
from nodeproof_operator.cluster.gateway import REQUEST_TIMEOUT_SECONDS, Gateway, Json
from nodeproof_operator.cluster.lease_spec import freed, held, holder, respected_seconds
from nodeproof_operator.cluster.objects import OPERATOR, lease, leases
from nodeproof_operator.cluster.preconditions import Precondition

RENEW_DEADLINE_SECONDS = 10.0
"""How long after its last renewal a holder still leads."""

RETRY_PERIOD_SECONDS = 2.0
"""Between two attempts, to renew or to take."""

JITTER = 0.2
"""By how much the pause between attempts to take varies, so that replicas do not go in step."""

_logger = structlog.get_logger()


def boot_time() -> float:
    """Return seconds since boot, suspension included: a laptop's sleep ends leadership too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Timing:
    """Where an elector gets its time and its luck from.

    Attributes:
        clock: Seconds of a clock that nobody sets.
        now: The time that is written into the Lease, for people.
        sleep: Waits so many seconds.
        jitter: Returns a number from 0 to 1.
    """

    clock: Callable[[], float] = boot_time
    now: Callable[[], datetime] = _utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random


REAL_TIME = Timing()
"""The machine's clocks, and chance."""


class LeaseElector:
    """Takes and keeps the Lease. Run it in one task; ask ``remaining`` before every write.

    Attributes:
        identity: This replica in the Lease; no other living process may have the same.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        namespace: str,
        identity: str,
        on_started: Callable[[], None],
        on_stopped: Callable[[], None],
        timing: Timing = REAL_TIME,
    ) -> None:
        """Prepare an elector that does not lead.

        Args:
            gateway: The door to the API server.
            namespace: Of the Lease.
            identity: See the attribute.
            on_started: Called when leadership begins.
            on_stopped: Called when it has ended, before anything else is done or awaited.
            timing: Clocks and chance.
        """
        self.identity = identity
        self._gateway = gateway
        self._namespace = namespace
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._timing = timing
        self._leading = False
        self._leads_until = 0.0
        self._lease: Json | None = None
        """Our own Lease as the server last confirmed it, None if that is in doubt."""
        self._seen: tuple[Json, float] = ({}, 0.0)
        """What somebody else's Lease last said, and when we first saw it so."""

    def remaining(self) -> float:
        """Return for how many seconds leadership is sure, 0 without it."""
        if not self._leading:
            return 0.0
        return max(0.0, self._leads_until - self._timing.clock())

    async def run(self) -> None:
        """Take and keep the Lease until cancelled; then hand it over at once."""
        try:
            while True:
                await self._step()
                await self._timing.sleep(self._pause())
        finally:
            was_leading = self._leading
            self._stand_down()
            if was_leading:
                await self._release()

    async def _step(self) -> None:
        """Try once; a second time, from a fresh read, if what we knew was stale."""
        self._stand_down_if_over()
        for _ in range(2):
            try:
                if not await self._try():
                    self._stand_down()
                break
            except (Conflict, NotFound):
                self._lease = None
            except ApiError as error:
                _note(error)
                break
        self._stand_down_if_over()

    async def _try(self) -> bool:
        """Take or renew; return whether the Lease is ours.

        Raises:
            ApiError: It cannot be told.
        """
        known = self._lease or await self._read()
        if known is not None and not self._may_take(known["spec"]):
            self._lease = None
            return False
        started = self._timing.clock()
        self._lease = await (self._create() if known is None else self._update(known))
        self._lead_until(started + RENEW_DEADLINE_SECONDS)
        return True

    def _may_take(self, spec: Json) -> bool:
        if holder(spec) in {"", self.identity}:
            return True
        now = self._timing.clock()
        if self._seen[0] != spec:
            self._seen = (spec, now)
        return now - self._seen[1] > respected_seconds(spec)

    def _lead_until(self, moment: float) -> None:
        self._leads_until = moment
        if not self._leading and moment > self._timing.clock():
            self._leading = True
            _logger.info("leadership started", identity=self.identity)
            self._on_started()

    def _stand_down_if_over(self) -> None:
        if self.remaining() == 0.0:
            self._stand_down()

    def _stand_down(self) -> None:
        if self._leading:
            self._leading = False
            self._on_stopped()
            _logger.warning("leadership ended", identity=self.identity)

    async def _read(self) -> Json | None:
        try:
            found = await self._call("GET", lease(self._namespace, OPERATOR))
        except NotFound:
            return None
        return {**found, "spec": found.get("spec") or {}}

    async def _create(self) -> Json:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": OPERATOR, "namespace": self._namespace},
            "spec": held({}, self.identity, self._timing.now()),
        }
        return await self._call("POST", leases(self._namespace), body)

    async def _update(self, known: Json) -> Json:
        return await self._replace(known, held(known["spec"], self.identity, self._timing.now()))

    async def _release(self) -> None:
        """Leave the Lease free, so that another replica need not wait for its end."""
        try:
            known = self._lease or await self._read()
            if known is not None and holder(known["spec"]) == self.identity:
                await self._replace(known, freed(known["spec"], self._timing.now()))
        except ApiError as error:
            _note(error)

    async def _replace(self, known: Json, spec: Json) -> Json:
        metadata = known["metadata"]
        condition = Precondition(metadata["uid"], metadata["resourceVersion"])
        body = {**known, "metadata": {**metadata, **condition.metadata()}, "spec": spec}
        return await self._call("PUT", lease(self._namespace, OPERATOR), body)

    async def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        # A holder waits for no answer that would come after its time.
        seconds = REQUEST_TIMEOUT_SECONDS
        if self._leading:
            seconds = min(seconds, self.remaining())
        return await self._gateway.call(method, path, body, timeout=seconds)

    def _pause(self) -> float:
        if self._leading:
            return min(RETRY_PERIOD_SECONDS, self.remaining())
        return RETRY_PERIOD_SECONDS * (1.0 + JITTER * self._timing.jitter())


def _note(error: ApiError) -> None:
    _logger.warning("lease not written", reason=error.reason, error=str(error))
