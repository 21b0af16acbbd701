"""Asking the key service politely: not faster than it likes, and not for ever."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import SystemRandom

from nodeproof.sevsnp.kds import CollateralName
from nodeproof_cli.surroundings import KDS, Surroundings, tell
from nodeproof_operator.endorsements.errors import KDSError, Throttled
from nodeproof_operator.endorsements.pacing import Pace

PATIENCE_SECONDS = 300.0
"""How long a 429 is waited out without an answer in between; blocks last longer than two minutes,
and a person is waiting."""


@dataclass(slots=True)
class Asker:
    """One client's manners; after it has lost patience it asks for nothing more."""

    kds: KDS
    surroundings: Surroundings
    _pace: Pace = field(init=False)
    _waited: float = field(init=False, default=0.0)
    _given_up: KDSError | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._pace = Pace(self.surroundings.monotonic, SystemRandom())

    async def get(self, name: CollateralName) -> bytes:
        """Return what the key service hands out under this name, unverified.

        Raises:
            KDSError: It was not to be had.
        """
        while self._given_up is None:
            await self._turn()
            tell(f"asking the key service for the {name}")
            self._pace.take()
            try:
                data = await self.kds.get(name)
            except Throttled as error:
                self._throttled(error)
            else:
                self._pace.answered()
                self._waited = 0.0
                return data
        raise self._given_up

    async def _turn(self) -> None:
        seconds = self._pace.wait_seconds()
        if seconds > 0:
            tell(f"waiting {seconds:.0f} s: the key service wants to be asked slowly")
            await self.surroundings.sleep(seconds)

    def _throttled(self, error: Throttled) -> None:
        self._pace.failed(error.retry_after_seconds)
        self._waited += self._pace.wait_seconds()
        if self._waited > PATIENCE_SECONDS:
            tell(f"{error}; giving up, since it would take more than {PATIENCE_SECONDS:.0f} s")
            self._given_up = error
        else:
            tell(str(error))
