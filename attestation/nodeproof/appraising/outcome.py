"""How one check went, and the words in which it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodeproof.checks import Check
from nodeproof.result import Outcome

SHOWN_DIGITS = 16
"""Hexadecimal digits of an accepted value that texts show: it can be looked up."""

SHOWN_ITEMS = 3
"""How many sets or values a text names before it only counts, so that it stays short."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one check went.

    Attributes:
        id: The check's ID in ``nodeproof.checks.CATALOGUE``.
        outcome: ``Passed`` or ``Failed``.
        expected: What the policy asks for, in words.
        observed: What the evidence says, in the same words.
    """

    id: str
    outcome: Outcome
    expected: str
    observed: str


def result(check: Check, expected: str, observed: str, *, passed: bool) -> CheckResult:
    """Return how a check went."""
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    return CheckResult(id=check.id, outcome=outcome, expected=expected, observed=observed)


def one_of(check: Check, accepted: Sequence[str], observed: str) -> CheckResult:
    """Return whether the observed words are among the accepted ones."""
    return result(check, " or ".join(accepted), observed, passed=observed in accepted)


def digits_among(check: Check, accepted: Sequence[str], observed: bytes) -> CheckResult:
    """Return whether observed bytes are among the accepted, in hexadecimal; with none, any are.

    The observed value is told whole, for an admin who wants to accept it.
    """
    digits = observed.hex()
    passed = not accepted or digits in {each.lower() for each in accepted}
    return result(check, some_digits(accepted), digits, passed=passed)


def some_digits(accepted: Sequence[str]) -> str:
    """Return a few of the accepted values, and how many there are, in words."""
    if not accepted:
        return "any"
    count = "only" if len(accepted) == 1 else f"one of {len(accepted)}:"
    return f"{count} {some([shorten(each) for each in accepted])}"


def some(items: Sequence[str]) -> str:
    """Return the first few items and how many more there are."""
    shown = ", ".join(items[:SHOWN_ITEMS])
    hidden = len(items) - SHOWN_ITEMS
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def shorten(digits: str) -> str:
    """Return the beginning of a long hexadecimal value."""
    return f"{digits[:SHOWN_DIGITS]}…" if len(digits) > SHOWN_DIGITS else digits
