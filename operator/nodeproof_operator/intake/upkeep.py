"""Repeats a refresh for as long as the operator lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from nodeproof.errors import NodeproofError

RETRY_SECONDS = 2.0
"""After a refresh that failed."""

_log = structlog.get_logger()


async def keep_fresh(
    what: str,
    refresh: Callable[[], Awaitable[None]],
    every_seconds: float,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Refresh now and every so often, until cancelled; failures are logged and tried again.

    Args:
        what: What is refreshed, for the log.
        refresh: May raise any NodeproofError; what it keeps then stays in use.
        every_seconds: From one success to the next refresh.
        sleep: Waits; injected.
    """
    while True:
        pause = every_seconds
        try:
            await refresh()
        except NodeproofError as error:
            pause = min(RETRY_SECONDS, every_seconds)
            _log.warning(
                "refresh failed",
                what=what,
                reason=error.reason,
                message=error.message,
                observed=error.observed,
            )
        await sleep(pause)
