"""The ``go`` command, run in a module's folder with its progress shown."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nodeproof_dev.errors import BuildFailed
from nodeproof_dev.progress import Meter

_ERROR_LINES = 20
_TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Work:
    """A stage of the build: what shows it, its name, and how many lines Go will say in it."""

    meter: Meter
    stage: str
    pieces: int


def packages_of(go: str, source: Path, packages: Sequence[str]) -> list[str]:
    """Return the packages that these need, themselves too: what a build has to compile."""
    listed = subprocess.run(
        [go, "list", "-deps", *packages],
        cwd=source,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.splitlines()


def run_go(go: str, arguments: list[str], source: Path, work: Work) -> None:
    """Run the ``go`` command in a module's folder, and show how far it is.

    Raises:
        BuildFailed: It failed; the message ends in its last lines.
    """
    process = subprocess.Popen(
        [go, *arguments],
        cwd=source,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    with process:
        try:
            _follow(process, lines, work)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise BuildFailed(
            f"go {arguments[0]} failed in {source}", observed="\n".join(lines[-_ERROR_LINES:])
        )


def _follow(process: subprocess.Popen[str], lines: list[str], work: Work) -> None:
    assert process.stderr is not None  # noqa: S101 - asked for as a pipe
    # The compiler's lines come when a package is done, which may be seldom: a thread collects.
    reader = threading.Thread(target=_collect, args=(process.stderr, lines), daemon=True)
    reader.start()
    while not _ended(process):
        work.meter.show(work.stage, min(len(lines), work.pieces), work.pieces)
    reader.join()


def _ended(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(_TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _collect(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line.rstrip())  # noqa: PERF401 - the other thread counts them as they come


def _environment() -> Mapping[str, str]:
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
