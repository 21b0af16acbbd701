"""Endorsements joined to the rest: what intake and enforcement see, and who hears of new lists."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from random import SystemRandom

import structlog

from nodeproof.errors import EndorsementsUnavailable, VerificationError
from nodeproof.sevsnp.kds import CollateralName, VCEKName
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.verify import VerifiedReport
from nodeproof_operator.cluster.errors import ApiError
from nodeproof_operator.cluster.gateway import Gateway
from nodeproof_operator.cluster.views import Record
from nodeproof_operator.endorsements.fetcher import Fetcher
from nodeproof_operator.endorsements.holdings import Holdings
from nodeproof_operator.endorsements.kds import KDS
from nodeproof_operator.endorsements.source import Endorsements, Known
from nodeproof_operator.endorsements.store import Store
from nodeproof_operator.metrics import EndorsementMetrics

FIRST_READINGS = 5
FIRST_PAUSE_SECONDS = 2.0
"""How often, and how far apart, the stored endorsements are asked for at the start."""

FIRST_SECONDS = 15.0
"""How long all of that may take: the kubelet kills who answers no probe for twenty."""

_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Site:
    """Where endorsements are kept, and whose roots count.

    Attributes:
        records: All NodeAttestations as of now, by name.
        clock: The time, with its zone.
    """

    gateway: Gateway
    namespace: str
    anchors: Sequence[TrustAnchor]
    records: Callable[[], Mapping[str, Record]]
    clock: Callable[[], datetime]


class Supply:
    """AMD's certificates and lists for this process; of one event loop.

    Args:
        site: Where they are kept.
        kds: AMD's key service; None without network.
        metrics: Told of requests, queue and what was of no use.
        changed: Called whenever the revocation lists are others than before.
        sleep: Waits some seconds.

    Attributes:
        fetcher: The queue to AMD's key service, to be run; None without network.
    """

    def __init__(
        self,
        site: Site,
        kds: KDS | None,
        metrics: EndorsementMetrics,
        changed: Callable[[], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._holdings = Holdings(site.anchors, site.clock)
        self._store = Store(site.gateway, site.namespace, self._holdings)
        self.fetcher = self._fetcher(kds, metrics) if kds else None
        self._source = Endorsements(
            self._holdings, self.fetcher, site.records, site.clock, store=self._store
        )
        self._changed = changed
        self._sleep = sleep
        self._told_revision = self._holdings.revision
        self._kinds: set[tuple[object, object]] = set()
        self._wake = asyncio.Event()
        metrics.watch(
            queue_depth=lambda: self.fetcher.depth if self.fetcher else 0,
            ignored=lambda: self._store.ignored,
        )

    @property
    def revision(self) -> int:
        """Grows whenever ``crls`` returns something else than before."""
        return self._source.revision

    def crls(self) -> tuple[bytes, ...]:
        """Return every verified revocation list worth having."""
        return self._source.crls()

    def known(self, report: bytes) -> Known:
        """Return what is at hand for a report; never raises, whatever the bytes."""
        return self._source.known(report)

    def fetch(
        self, report: bytes, node_uid: str, deadline: datetime | None, error: VerificationError
    ) -> EndorsementsUnavailable | None:
        """Queue what may help against ``error``; None if nothing can: then it stands."""
        return self._source.fetch(report, node_uid, deadline, error)

    def note(self, claims: VerifiedReport) -> None:
        """Keep current what a genuine report rests on; what is new to us is asked for at once."""
        self._source.note(claims)
        kind = (claims.product, claims.report.key_info.signing_key)
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._wake.set()

    async def begin(self) -> None:
        """Read what is stored, before anything is decided without it.

        Where it cannot be read for long, life goes on: without lists no policy that requires one
        gives a label, but without a leader nobody takes labels away.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                await self._read()
        self._tell()

    async def upkeep(self) -> None:
        """Do one round: read what is stored, ask for what is due, write what was fetched."""
        await self._source.upkeep()
        self._tell()

    async def pause(self, seconds: float) -> None:
        """Wait until the next round, which comes early where something new calls for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _read(self) -> None:
        for _ in range(FIRST_READINGS):
            try:
                await self._store.refresh()
            except ApiError as error:
                _LOG.warning("endorsements not read", reason=error.reason, error=str(error))
                await self._sleep(FIRST_PAUSE_SECONDS)
            else:
                return

    def _fetcher(self, kds: KDS, metrics: EndorsementMetrics) -> Fetcher:
        return Fetcher(
            kds,
            self._accept,
            clock=time.monotonic,
            sleep=asyncio.sleep,
            random=SystemRandom(),
            count=metrics.count_request,
        )

    def _accept(self, name: CollateralName, data: bytes) -> None:
        self._holdings.accept(name, data)
        self._tell()
        if not isinstance(name, VCEKName):
            # A chain has a list to be asked for, and both are to be stored.
            self._wake.set()

    def _tell(self) -> None:
        if self._holdings.revision != self._told_revision:
            self._told_revision = self._holdings.revision
            self._changed()
