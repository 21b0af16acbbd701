"""Appraise: is genuine evidence acceptable under a policy?

Every check is made and reported with its outcome; nothing stops at the first failure and nothing
raises. Pure: the same claims, policy, reference values and time give the same appraisal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from nodeproof.appraising.firmware import appraise_firmware
from nodeproof.appraising.guest import appraise_guest_policy
from nodeproof.appraising.launch import appraise_launch, appraise_measurement
from nodeproof.appraising.outcome import CheckResult
from nodeproof.appraising.platform import appraise_platform
from nodeproof.appraising.signer import appraise_chip, appraise_signer
from nodeproof.policy import Policy, ReferenceValueSet
from nodeproof.result import Outcome
from nodeproof.sevsnp.verify import VerifiedReport

__all__ = ["Appraisal", "CheckResult", "appraise", "next_change"]


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
    claims: VerifiedReport, policy: Policy, sets: Iterable[ReferenceValueSet], now: datetime
) -> Appraisal:
    """Return the outcome of every check of a policy.

    Args:
        claims: What verification proved; never anything read back from an object.
        policy: The policy to apply. Its rules on revocation are not appraised: they are about the
            verifier's lists, not about the evidence.
        sets: Reference value sets; those that the policy does not name are not looked at, and one
            that it names but that is not given counts as empty.
        now: When, with time zone: values past their expiration time do not count, nor do firmware
            minimums before their effective time.
    """
    spec, report = policy.spec, claims.report
    return Appraisal(
        policy_name=policy.name,
        checks=(
            *appraise_signer(claims, spec.signer),
            *appraise_chip(claims, spec.chips),
            *appraise_guest_policy(report.policy, spec.guest),
            *appraise_launch(report, spec.guest),
            *appraise_firmware(claims, spec.firmware, now),
            *appraise_platform(report.platform_info, spec.firmware.platform_info),
            appraise_measurement(claims, spec.reference_value_set_names, sets, now),
        ),
    )


def next_change(
    policy: Policy, sets: Iterable[ReferenceValueSet], now: datetime
) -> datetime | None:
    """Return when the same evidence may next be judged otherwise: what passes now may fail then.

    That is when the next reference value of the policy's sets ends or the next firmware minimum
    takes effect; None: never.
    """
    names = policy.spec.reference_value_set_names
    values = (value for each in sets if each.name in names for value in each.measurements)
    times = (
        *(value.expiration_time for value in values),
        *(minimum.effective_time for minimum in policy.spec.firmware.minimums),
    )
    return min((each for each in times if each is not None and each > now), default=None)
