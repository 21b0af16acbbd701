"""Commands that do one thing and end, with lines for people on standard output."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from nodeproof.errors import NodeproofError


def say(line: str) -> None:
    """Print a line at once: a Job's log is read while it runs."""
    print(line, flush=True)  # noqa: T201 - the command's answer


def run_once(work: Coroutine[Any, Any, bool]) -> int:
    """Run a command's work; return its exit status: 0 if it says that all is well, else 1.

    SIGTERM and SIGINT cancel it, so that it can put back what it holds.
    """
    return asyncio.run(_run(work))


async def _run(work: Coroutine[Any, Any, bool]) -> int:
    loop, life = asyncio.get_running_loop(), asyncio.ensure_future(work)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, life.cancel)
    try:
        return 0 if await life else 1
    except asyncio.CancelledError:
        print("interrupted", file=sys.stderr)  # noqa: T201 - the command's answer
    except NodeproofError as error:
        print(f"FAILED: {error.reason}: {error}", file=sys.stderr)  # noqa: T201 - the same
    return 1
