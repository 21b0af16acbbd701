"""Checks of single bits: each is required, forbidden, or not looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nodeproof.appraising.outcome import CheckResult, one_of
from nodeproof.checks import Check
from nodeproof.policy import Requirement

_Rules = TypeVar("_Rules")
_Bits = TypeVar("_Bits")


@dataclass(frozen=True, slots=True)
class BitCheck(Generic[_Rules, _Bits]):
    """A check of one bit.

    Attributes:
        check: Its entry in the catalogue.
        rule: Takes what is asked of the bit from a group of the policy.
        bit: Takes the bit from the report's bit field.
        clear: What a clear bit means, in words.
        is_set: What a set bit means, in words.
    """

    check: Check
    rule: Callable[[_Rules], Requirement]
    bit: Callable[[_Bits], bool]
    clear: str
    is_set: str

    def judge(self, rules: _Rules, bits: _Bits) -> CheckResult:
        """Return how the check went."""
        return bit_result(
            self.check, self.rule(rules), (self.clear, self.is_set), observed=self.bit(bits)
        )


def bit_result(
    check: Check, rule: Requirement, states: tuple[str, str], *, observed: bool
) -> CheckResult:
    """Return whether something that is so or not, in words clear or set, is as it must be."""
    clear, is_set = states
    accepted = {
        Requirement.REQUIRED: (is_set,),
        Requirement.FORBIDDEN: (clear,),
        Requirement.ANY: states,
    }[rule]
    return one_of(check, accepted, is_set if observed else clear)
