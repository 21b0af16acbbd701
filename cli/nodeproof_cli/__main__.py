"""The command ``nodeproof``: its parser, and what no answer of it may end in (a traceback)."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from cryptography.utils import CryptographyDeprecationWarning

from nodeproof.errors import BundleMalformed
from nodeproof.sevsnp.roots import AMD_ROOTS, TrustAnchor
from nodeproof_cli import bundle, network, verify
from nodeproof_cli.surroundings import Connect, Surroundings, Unusable, tell

UNUSABLE = 2
"""Exit code for wrong usage and for input that cannot be read."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main(
    arguments: Sequence[str] | None = None,
    *,
    anchors: Sequence[TrustAnchor] = AMD_ROOTS,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    connect: Connect = network.connect,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Run the command; return its exit code.

    Args:
        arguments: Those behind the command's name; the process's own if None.
        anchors: The root keys to trust: AMD's, and no option changes that.
        clock: Tells the time where ``--at`` does not.
        connect: Opens the network where ``--fetch`` allows it.
        monotonic: Seconds that never go back.
        sleep: Waits for so many of them.

    Raises:
        SystemExit: With code 2 for wrong usage, 0 for ``--help``.
    """
    options = _parser().parse_args(arguments)
    # Odd certificates of strangers make the library warn; what counts is whether they verify.
    warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
    surroundings = Surroundings(anchors, clock, connect, monotonic, sleep)
    try:
        code, answer = options.run(options, surroundings)
        _print(answer)
    except (OSError, Unusable, BundleMalformed) as error:
        tell(str(error))
        return UNUSABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    return int(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nodeproof",
        description="Check evidence of AMD SEV-SNP confidential VMs, and carry what that takes.",
        epilog="nodeproof COMMAND --help explains a command and shows an example.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    verify.add_parser(commands)
    bundle.add_parser(commands)
    return parser


def _print(answer: str) -> None:
    try:
        sys.stdout.write(answer)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough. What is left goes nowhere, or the interpreter would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
