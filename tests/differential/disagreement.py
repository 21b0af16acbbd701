"""What a disagreement may be due to, and the words that the two lists of them are written in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from differential.judged import Judged
from nodeproof.errors import VerificationError

Condition = Callable[[Judged], bool]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One reason why we rightly say something else."""

    name: str
    applies: Condition
    """Tells from the evidence and both answers, never from how the evidence was made."""
    why: str
    """What the other one does, and why ours is right; Markdown."""
    source: str


def we_refuse(error: type[VerificationError], words: str) -> Condition:
    """Return whether we refuse for this reason, with these words in the message."""

    def applies(judged: Judged) -> bool:
        refused = judged.refused
        return type(refused) is error and words in str(refused)

    return applies


def they_refuse(*words: str) -> Condition:
    """Return whether the other one refuses, with some of these words in each error that it tells.

    It joins several errors by semicolons: none of them may be one that was not expected.
    """

    def applies(judged: Judged) -> bool:
        errors = judged.theirs.error.split("; ")
        return all(any(each in error for each in words) for error in errors)

    return applies


def all_of(*conditions: Condition) -> Condition:
    """Return whether all of these apply."""
    return lambda judged: all(applies(judged) for applies in conditions)


def any_of(*conditions: Condition) -> Condition:
    """Return whether one of these applies."""
    return lambda judged: any(applies(judged) for applies in conditions)
