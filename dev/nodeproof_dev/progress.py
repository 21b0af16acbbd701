"""Progress of something slow: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

LINE_INTERVAL_SECONDS = 15.0
"""Time between two lines where there is no terminal."""


class Meter(Protocol):
    """Shows how far a piece of work has come."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop showing, whatever happened."""

    def show(self, stage: str, done: int, total: int) -> None:
        """Show the stage and how much of it is done; a total of 0 is not known yet."""


def estimate(elapsed: float, done: int, total: int) -> str:
    """Return how long the rest may take, in words; nothing while it is too early to say.

    Args:
        elapsed: Seconds since the work began.
        done: Pieces done.
        total: Pieces altogether.
    """
    if total <= 0 or done < total / 50:
        return ""
    minutes, seconds = divmod(round(elapsed * (total - done) / done), 60)
    return f"about {minutes} min {seconds:02d} s left" if minutes else f"about {seconds} s left"


class LineMeter:
    """Progress as plain lines, one every fifteen seconds and one for each stage."""

    def __init__(
        self,
        write: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._clock = clock
        self._begun = clock()
        self._last = (-LINE_INTERVAL_SECONDS, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._last = (self._clock(), "")

    def show(self, stage: str, done: int, total: int) -> None:
        """Write a line if the stage is new or the last line is old enough."""
        now = self._clock()
        then, last_stage = self._last
        if stage == last_stage and now - then < LINE_INTERVAL_SECONDS:
            return
        self._last = (now, stage)
        elapsed = now - self._begun
        facts = [f"{elapsed:.0f} s"]
        if total:
            facts.append(f"{done} of {total}")
        rest = estimate(elapsed, done, total)
        self._write(f"{stage} ({', '.join([*facts, rest] if rest else facts)})")


class BarMeter:
    """Progress as a bar that is redrawn in place."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[rest]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, count="", rest="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, stage: str, done: int, total: int) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            description=stage,
            completed=done,
            total=total or None,
            count=f"{done}/{total}" if total else "",
            rest=estimate(self._clock() - self._begun, done, total),
        )


def meter(console: Console) -> Meter:
    """Return the meter that fits where the output goes."""
    return BarMeter(console) if console.is_terminal else LineMeter()
