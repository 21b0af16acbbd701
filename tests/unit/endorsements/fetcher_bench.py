"""A fetcher in virtual time, and who asks it for something."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

from fakes.virtual_time import VirtualTime, settle
from nodeproof.errors import ChainInvalid
from nodeproof.sevsnp.kds import CollateralName
from nodeproof_operator.endorsements.errors import KDSError
from nodeproof_operator.endorsements.fetcher import Demand, Fetcher
from unit.endorsements.kds_standins import VCEK_BYTES, ScriptedKDS

MINUTE = 60.0
HOUR = 3600.0


def newcomer(uid: object) -> Demand:
    return Demand(str(uid), None)


def ending(uid: object, minutes: float = 5) -> Demand:
    """Return a node whose live result ends soon."""
    return Demand(str(uid), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))


class Bench:
    """A fetcher in virtual time, with what it asked, kept and counted."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.kds = ScriptedKDS(self.time.clock)
        self.kept: dict[CollateralName, bytes] = {}
        self.forged: set[CollateralName] = set()
        self.counted: Counter[str] = Counter()
        self.fetcher = self.fetcher_with(seed=1)

    def fetcher_with(self, *, seed: int) -> Fetcher:
        return Fetcher(
            self.kds,
            self._accept,
            clock=self.time.clock,
            sleep=self.time.sleep,
            random=Random(seed),  # noqa: S311 - spreads retries only
            count=lambda result: self.counted.update([result]),
        )

    def fail(self, error: KDSError, *names: CollateralName) -> None:
        """Let these names fail from now on, or all if there are none."""

        def respond(name: CollateralName) -> bytes:
            if not names or name in names:
                raise error
            return VCEK_BYTES

        self.kds.respond = respond

    @property
    def gaps(self) -> list[float]:
        """How many seconds lay between one request and the next."""
        return [later - earlier for earlier, later in pairwise(self.kds.times)]

    def mend(self) -> None:
        self.kds.respond = lambda _: VCEK_BYTES

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.fetcher.run())
        await settle()
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _accept(self, name: CollateralName, data: bytes) -> None:
        if name in self.forged:
            raise ChainInvalid("not signed by its issuer")
        self.kept[name] = data
