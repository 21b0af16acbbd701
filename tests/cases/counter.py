"""The command with a key service that a test stocks, and a clock that only waiting moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cases import endorsing
from nodeproof.sevsnp.kds import CollateralName
from nodeproof_cli.__main__ import main
from nodeproof_cli.surroundings import KDSAddress
from nodeproof_operator.endorsements.errors import KDSError, NotOffered


@dataclass(slots=True)
class FakeKDS:
    """Implements ``KDS``."""

    offered: dict[CollateralName, bytes]
    troubles: list[KDSError] = field(default_factory=list)
    """Raised one after the other, before anything is handed out."""
    asked: list[CollateralName] = field(default_factory=list)

    async def get(self, name: CollateralName) -> bytes:
        self.asked.append(name)
        if self.troubles:
            raise self.troubles.pop(0)
        if name not in self.offered:
            raise NotOffered("the key service does not have it")
        return self.offered[name]


@dataclass(slots=True)
class Counter:
    """Runs the command; the simulated roots are pinned."""

    directory: Path
    capture: pytest.CaptureFixture[str]
    kds: FakeKDS
    addresses: list[KDSAddress] = field(default_factory=list)
    """Where connections were opened to."""
    waited: list[float] = field(default_factory=list)
    told: str = ""
    """Standard error of the last run."""

    def run(self, *arguments: str | Path) -> tuple[int, str]:
        """Return exit code and standard output."""
        code = main(
            [str(each) for each in arguments],
            anchors=endorsing.anchors(),
            clock=lambda: endorsing.NOW,
            connect=self._connect,
            monotonic=lambda: sum(self.waited),
            sleep=self._sleep,
        )
        out, self.told = self.capture.readouterr()
        return code, out

    def write(self, name: str, data: bytes) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    @asynccontextmanager
    async def _connect(self, address: KDSAddress) -> AsyncIterator[FakeKDS]:
        self.addresses.append(address)
        yield self.kds

    async def _sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
