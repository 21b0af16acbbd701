"""The Lease taken by force, so that nobody leads while an administrator takes nodeproof away.

An elector waits until a Lease is free or old; this does not. It overwrites the holder, who learns
of it at its next renewal and until then believes to lead: for so long nothing may be done that the
holder could undo. ``take`` therefore returns only when its last write must be over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from nodeproof.errors import NodeproofError
from nodeproof_operator.cluster.errors import ApiError, Conflict, Forbidden, NotFound
from nodeproof_operator.cluster.gateway import Gateway, Json
from nodeproof_operator.cluster.lease import (
    REAL_TIME,
    RENEW_DEADLINE_SECONDS,
    RETRY_PERIOD_SECONDS,
    Timing,
)
from nodeproof_operator.cluster.lease_spec import LONGEST_RESPECTED_SECONDS, freed, held, holder
from nodeproof_operator.cluster.objects import OPERATOR, lease, leases
from nodeproof_operator.cluster.preconditions import Precondition

HOLD_SECONDS = LONGEST_RESPECTED_SECONDS
"""How long after our last word nobody else takes the Lease: the most that electors respect."""

SURE_SECONDS = 45.0
"""How long of that we rely on ourselves."""

RENEW_SECONDS = 5.0
"""Between two renewals while we hold it."""

OVER_SECONDS = RENEW_DEADLINE_SECONDS + 2.0
"""From our taking it to the end of the former holder's last write, with time to be served."""

ATTEMPTS = 10
"""To overwrite a holder that renews every two seconds, or to reach the server."""

_logger = structlog.get_logger()


class LeaseNotTaken(NodeproofError):
    """The Lease could not be written: somebody else may lead."""


class LeaseLost(NodeproofError):
    """Somebody else holds the Lease that we had taken."""


class LeaseSeizure:
    """One taking of the Lease, from ``take`` to ``leave`` or ``release``.

    Attributes:
        identity: The holder's name in the Lease.
    """

    def __init__(
        self, gateway: Gateway, *, namespace: str, identity: str, timing: Timing = REAL_TIME
    ) -> None:
        self.identity = identity
        self._gateway = gateway
        self._namespace = namespace
        self._timing = timing
        self._sure_until = 0.0
        self._former = ""
        """Whom we have found in it; an answer that was lost must not make us forget."""

    def remaining(self) -> float:
        """Return for how many seconds nobody else surely leads, 0 if somebody may."""
        return max(0.0, self._sure_until - self._timing.clock())

    async def take(self) -> str:
        """Take the Lease and wait until its former holder writes no more; return who that was.

        Returns:
            The former holder, empty if the Lease was free.

        Raises:
            LeaseNotTaken: Others write it all the time, or the server cannot be asked.
            LeaseLost: Another one like us took it in the meantime.
            Forbidden: We may not.
        """
        await self._overwrite()
        if self._former:
            _logger.info("lease taken", identity=self.identity, former=self._former)
            async with self.renewed():
                await self._timing.sleep(OVER_SECONDS)
        return self._former

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Go on holding the Lease within the block; ``remaining`` tells if that fails.

        Raises:
            LeaseLost: At the end of the block, somebody else may lead.
        """
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])
        if self.remaining() == 0.0:
            raise LeaseLost("the Lease was not kept", expected=self.identity)

    async def leave(self) -> None:
        """Write a last time that we hold the Lease: nobody leads for ``HOLD_SECONDS`` from now.

        Raises:
            LeaseLost: Somebody else holds it.
            ApiError: The server did not do it.
        """
        await self._renew()

    async def release(self) -> None:
        """Give the Lease back, if it is ours, so that an operator leads at once."""
        self._sure_until = 0.0
        try:
            known = await self._read()
            if known is not None and holder(known["spec"]) == self.identity:
                await self._replace(known, freed(known["spec"], self._timing.now()))
        except ApiError as error:
            _logger.warning("lease not released", reason=error.reason, error=str(error))

    async def _overwrite(self) -> None:
        for _ in range(ATTEMPTS):
            try:
                known = await self._read()
                self._note(known)
                return await self._write(known)
            except (Conflict, NotFound):
                continue  # somebody was faster: by their next renewal we are through
            except Forbidden:
                raise
            except ApiError as error:
                _logger.warning("lease not taken", reason=error.reason, error=str(error))
                await self._timing.sleep(RETRY_PERIOD_SECONDS)
        raise LeaseNotTaken(
            f"the Lease {self._namespace}/{OPERATOR} could not be taken", observed="no success"
        )

    def _note(self, known: Json | None) -> None:
        found = holder(known["spec"]) if known else ""
        if found not in {"", self.identity}:
            self._former = found

    async def _keep(self) -> None:
        while True:
            await self._timing.sleep(RENEW_SECONDS)
            try:
                await self._renew()
            except LeaseLost:
                return
            except ApiError as error:
                _logger.warning("lease not renewed", reason=error.reason, error=str(error))

    async def _renew(self) -> None:
        known = await self._read()
        if known is None or holder(known["spec"]) != self.identity:
            self._sure_until = 0.0
            observed = holder(known["spec"]) if known else "no Lease"
            raise LeaseLost("somebody else leads", expected=self.identity, observed=observed)
        await self._write(known)

    async def _write(self, known: Json | None) -> None:
        started, spec = self._timing.clock(), known["spec"] if known else {}
        spec = held(spec, self.identity, self._timing.now(), HOLD_SECONDS)
        await (self._replace(known, spec) if known else self._create(spec))
        self._sure_until = started + SURE_SECONDS

    async def _read(self) -> Json | None:
        try:
            found = await self._gateway.call("GET", lease(self._namespace, OPERATOR))
        except NotFound:
            return None
        return {**found, "spec": found.get("spec") or {}}

    async def _create(self, spec: Json) -> None:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": OPERATOR, "namespace": self._namespace},
            "spec": spec,
        }
        await self._gateway.call("POST", leases(self._namespace), body)

    async def _replace(self, known: Json, spec: Json) -> None:
        metadata = known["metadata"]
        condition = Precondition(metadata["uid"], metadata["resourceVersion"])
        body = {**known, "metadata": {**metadata, **condition.metadata()}, "spec": spec}
        await self._gateway.call("PUT", lease(self._namespace, OPERATOR), body)
