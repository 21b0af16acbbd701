"""What a command meets outside of its arguments: roots, clocks, the network, the terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from nodeproof.sevsnp.kds import CollateralName
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof_cli.wording import printable

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - see below
"""What subcommands are added to; argparse has no public name for it."""


class Unusable(Exception):
    """Wrong usage, or input that cannot be read; its text is for the person at the terminal."""


class KDS(Protocol):
    """Where collateral is asked for."""

    async def get(self, name: CollateralName) -> bytes:
        """Return what the key service hands out under this name, unverified.

        Raises:
            KDSError: It was not to be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class KDSAddress:
    """Which key service to ask, and how to reach it."""

    url: str
    ca_file: Path | None
    """What to recognise the server by; None: the system's CAs."""
    proxy: str | None


Connect = Callable[[KDSAddress], AbstractAsyncContextManager[KDS]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that a test puts something else in the place of."""

    anchors: Sequence[TrustAnchor]
    """The root keys to trust."""
    clock: Callable[[], datetime]
    """What time it is."""
    connect: Connect
    """Opens the network; nothing else does."""
    monotonic: Callable[[], float]
    """Seconds that never go back."""
    sleep: Callable[[float], Awaitable[None]]


def tell(text: str) -> None:
    """Say something beside the answer: on standard error."""
    sys.stderr.write(f"nodeproof: {printable(text)}\n")
    sys.stderr.flush()
