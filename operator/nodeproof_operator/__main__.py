"""The command ``nodeproof-operator``."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from nodeproof import logs
from nodeproof.errors import NodeproofError
from nodeproof_operator.check import command as check
from nodeproof_operator.cleanup import command as cleanup
from nodeproof_operator.runtime import operate
from nodeproof_operator.settings import Settings, parse

_LOG = structlog.get_logger()

_COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "check": check.main,
    "cleanup": cleanup.main,
}
"""What the image can do besides running the operator."""


def main() -> int:
    """Run what was asked for, the operator without a command; return the process's exit status."""
    command = _COMMANDS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if command is not None:
        return command(sys.argv[2:])
    return _operate()


def _operate() -> int:
    """Run the operator until SIGTERM or SIGINT; return the process's exit status."""
    settings = parse(sys.argv[1:])
    logs.configure(settings.log_format, settings.log_level)
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    loop, life = asyncio.get_running_loop(), asyncio.ensure_future(operate(settings))
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, life.cancel)
    try:
        await life
    except asyncio.CancelledError:
        _LOG.info("operator stopped")
        return 0
    except (NodeproofError, OSError, ExceptionGroup) as error:
        for cause in _causes(error):
            known = isinstance(cause, NodeproofError | OSError)
            _LOG.error(
                "operator ended",
                reason=type(cause).__name__,
                error=str(cause),
                exc_info=None if known else cause,
            )
    return 1


def _causes(error: Exception) -> Iterator[Exception]:
    if not isinstance(error, ExceptionGroup):
        yield error
        return
    for each in error.exceptions:
        yield from _causes(each)


if __name__ == "__main__":
    sys.exit(main())
