"""Appraise: is genuine evidence acceptable under a policy?

Every check is made and reported with its outcome; nothing stops at the first failure and nothing
raises. Pure: the same claims, policy, reference values and time give the same appraisal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nodeproof import checks
from nodeproof.checks import Check
from nodeproof.policy import Policy, ReferenceValueSet, Requirement, SignerKind
from nodeproof.result import Outcome

SHOWN_DIGITS = 16
"""Hexadecimal digits of an accepted measurement that texts show: it can be looked up."""

SHOWN_ITEMS = 3
"""How many sets or values a text names before it only counts, so that it stays short."""


class GuestPolicyClaims(Protocol):
    """The bits of POLICY that appraisal asks for (``nodeproof.sevsnp.bits.GuestPolicy``)."""

    @property
    def debug(self) -> bool:
        """The host may read the guest's memory."""

    @property
    def migrate_ma(self) -> bool:
        """A migration agent may be bound to the guest."""

    @property
    def smt(self) -> bool:
        """Simultaneous multithreading is allowed."""

    @property
    def single_socket(self) -> bool:
        """Only one socket is allowed."""


class ReportClaims(Protocol):
    """What appraisal asks of a report (``nodeproof.sevsnp.report.Report``)."""

    @property
    def policy(self) -> GuestPolicyClaims:
        """POLICY."""

    @property
    def vmpl(self) -> int:
        """The privilege level that asked for the report, 0 to 3."""

    @property
    def measurement(self) -> bytes:
        """MEASUREMENT, 48 bytes."""


class Claims(Protocol):
    """What verification proved (``nodeproof.sevsnp.verify.VerifiedReport``)."""

    @property
    def signer(self) -> SignerKind:
        """What endorsed the report."""

    @property
    def report(self) -> ReportClaims:
        """The report, shown to be genuine."""


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


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What one policy makes of one node's evidence: all checks, in the catalogue's order."""

    policy_name: str
    checks: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(each for each in self.checks if each.outcome is not Outcome.PASSED)

    @property
    def passed(self) -> bool:
        """Whether there were checks and none failed."""
        return bool(self.checks) and not self.failed


def appraise(
    claims: Claims, policy: Policy, sets: Iterable[ReferenceValueSet], now: datetime
) -> Appraisal:
    """Return the outcome of every check of a policy.

    Args:
        claims: What verification proved; never anything read back from an object.
        policy: The policy to apply.
        sets: Reference value sets; those that the policy does not name are not looked at, and one
            that it names but that is not given counts as empty.
        now: When, with time zone: values past their expiration time do not count.
    """
    return Appraisal(
        policy_name=policy.name,
        checks=(
            _signer(claims, policy),
            *_guest_policy(claims, policy),
            _vmpl(claims, policy),
            _measurement(claims, policy, sets, now),
        ),
    )


def _result(check: Check, expected: str, observed: str, *, passed: bool) -> CheckResult:
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    return CheckResult(id=check.id, outcome=outcome, expected=expected, observed=observed)


def _signer(claims: Claims, policy: Policy) -> CheckResult:
    kinds = policy.spec.signer.kinds
    return _result(
        checks.SIGNER_KIND, " or ".join(kinds), claims.signer, passed=claims.signer in kinds
    )


def _guest_policy(claims: Claims, policy: Policy) -> Iterable[CheckResult]:
    bits, rules = claims.report.policy, policy.spec.guest
    states = ("debugging forbidden", "debugging allowed")
    yield _bit(checks.GUEST_DEBUG, rules.debug, states, observed=bits.debug)
    states = ("migration agent forbidden", "migration agent allowed")
    yield _bit(checks.MIGRATION_AGENT, rules.migration_agent, states, observed=bits.migrate_ma)
    states = ("SMT forbidden", "SMT allowed")
    yield _bit(checks.SMT, rules.smt, states, observed=bits.smt)
    states = ("any number of sockets", "a single socket")
    yield _bit(checks.SINGLE_SOCKET, rules.single_socket, states, observed=bits.single_socket)


def _bit(
    check: Check, rule: Requirement, states: tuple[str, str], *, observed: bool
) -> CheckResult:
    clear, is_set = states
    accepted = {
        Requirement.REQUIRED: (is_set,),
        Requirement.FORBIDDEN: (clear,),
        Requirement.ANY: states,
    }[rule]
    state = is_set if observed else clear
    return _result(check, " or ".join(accepted), state, passed=state in accepted)


def _vmpl(claims: Claims, policy: Policy) -> CheckResult:
    expected, observed = policy.spec.guest.vmpl, claims.report.vmpl
    return _result(checks.VMPL, f"VMPL {expected}", f"VMPL {observed}", passed=observed == expected)


def _measurement(
    claims: Claims, policy: Policy, sets: Iterable[ReferenceValueSet], now: datetime
) -> CheckResult:
    names = policy.spec.reference_value_set_names
    accepted = [
        each.measurement
        for one_set in sets
        if one_set.name in names
        for each in one_set.measurements
        if each.in_force(now)
    ]
    observed = claims.report.measurement.hex()
    return _result(
        checks.MEASUREMENT,
        _expected_measurement(names, accepted),
        # Whole, for an admin who wants to make it a reference value.
        observed,
        passed=observed in accepted,
    )


def _expected_measurement(names: Sequence[str], accepted: Sequence[str]) -> str:
    where = _some(names)
    if not accepted:
        return f"a value of {where}, where none is in force"
    count = "the only value" if len(accepted) == 1 else f"one of the {len(accepted)} values"
    return f"{count} of {where}: {_some([_shorten(each) for each in accepted])}"


def _some(items: Sequence[str]) -> str:
    shown = ", ".join(items[:SHOWN_ITEMS])
    hidden = len(items) - SHOWN_ITEMS
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def _shorten(measurement: str) -> str:
    return f"{measurement[:SHOWN_DIGITS]}…"
