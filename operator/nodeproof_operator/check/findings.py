"""What the check has to say: one line each, with the next step where there is one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from nodeproof_operator.cluster.errors import ApiError, Forbidden, NotFound, Unreachable

MAX_TEXT = 600
"""Characters of a finding: what a kubelet or a node says may be longer."""

MAX_NAMES = 5
"""Names that a finding lists."""


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: Whether it is as it should be.
        about: What was looked at, in a word or two.
        text: What was found.
        next_step: What to do, empty if nothing.
    """

    level: Level
    about: str
    text: str
    next_step: str = ""

    def lines(self) -> list[str]:
        """Return the finding as it is printed."""
        shown = [f"{self.level:<8} {self.about}: {printable(self.text)}"]
        if self.next_step:
            shown.append(f"{'':<8} next: {self.next_step}")
        return shown


def ok(about: str, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, about, text)


def warning(about: str, text: str, next_step: str) -> Finding:
    """Return a finding that may be as it was meant to be."""
    return Finding(Level.WARNING, about, text, next_step)


def failed(about: str, text: str, next_step: str) -> Finding:
    """Return a finding that keeps nodeproof from working."""
    return Finding(Level.FAILED, about, text, next_step)


def unreadable(about: str, error: ApiError) -> Finding:
    """Return the finding that something could not be looked at."""
    if isinstance(error, Forbidden):
        step = "give the ServiceAccount nodeproof-check its roles: apply chart or deploy/hooks.yaml"
        return failed(about, f"the check may not look: {error.message}", step)
    if isinstance(error, Unreachable):
        return failed(about, f"the API server did not answer: {error.message}", "try again later")
    if isinstance(error, NotFound):
        return failed(about, f"is not there: {error.message}", "apply chart or deploy/ again")
    return failed(about, f"could not be read: {error}", "see the API server's log")


def names(of: Iterable[str]) -> str:
    """Return names for a text, the first few of them."""
    every = sorted(of)
    shown = ", ".join(every[:MAX_NAMES])
    return shown if len(every) <= MAX_NAMES else f"{shown} and {len(every) - MAX_NAMES} more"


def printable(text: str) -> str:
    """Return a text on one line, without what would move a terminal's cursor, not too long."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= MAX_TEXT else plain[: MAX_TEXT - 1] + "…"
