"""Calls a provider so that it can block, fail or hang without the agent doing so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from nodeproof.challenge import LIFE
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers import PlatformEvidence, Provider

PATIENCE_SECONDS = LIFE.total_seconds()
"""After that, no report is worth anything: its challenge has expired."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Platform:
    """The provider behind the event loop's executor, one call at a time."""

    def __init__(self, provider: Provider, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._provider = provider
        self._patience = patience_seconds
        self._call: asyncio.Future[Any] | None = None

    async def boot_id(self) -> str:
        """Return the ID of this boot.

        Raises:
            ProviderFailed: The provider cannot tell.
        """
        return await self._ask(self._provider.boot_id)

    async def attest(self, report_data: bytes) -> PlatformEvidence:
        """Return the platform's evidence over these 64 bytes.

        Raises:
            ProviderFailed: There is none, or none in time.
        """
        return await self._ask(self._provider.attest, report_data)

    async def _ask(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if self._call is not None and not self._call.done():
            raise ProviderFailed(
                "the platform is still busy with an earlier request", cause=Cause.TIMED_OUT
            )
        call = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
        self._call = call
        # A thread cannot be cancelled: ``wait`` leaves it running, and ``_call`` remembers it.
        await asyncio.wait({call}, timeout=self._patience)
        if not call.done():
            call.add_done_callback(_forget)
            raise ProviderFailed(
                "the platform gave no evidence in time",
                cause=Cause.TIMED_OUT,
                expected=f"within {self._patience:g} s",
            )
        try:
            return call.result()
        except ProviderFailed:
            raise
        except Exception as error:  # a provider is a driver: all it raises means no evidence
            raise ProviderFailed(
                "the platform gave no evidence",
                cause=Cause.INTERNAL_ERROR,
                observed=f"{type(error).__name__}: {error}",
            ) from error


def _forget(call: asyncio.Future[_T]) -> None:
    """Take the outcome of a call that nobody waits for any more."""
    if not call.cancelled():
        call.exception()
