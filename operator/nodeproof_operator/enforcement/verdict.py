"""What one policy says about one Node, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from nodeproof.appraisal import Appraisal, appraise, next_change
from nodeproof.errors import PolicyInvalid
from nodeproof.evidence import VerifiedEvidence
from nodeproof.policy import EnforcementRules, Policy, ReferenceValueSet, RevocationMode
from nodeproof.result import MAX_FACT_LENGTH, FailedCheck, Outcome, Reason
from nodeproof_operator.enforcement.finding import (
    Case,
    Finding,
    ReferenceValues,
    examine,
    failed,
    moment,
    rebooted,
    unjudged,
    unknown,
    waiting,
)
from nodeproof_operator.enforcement.revocation import lack, next_end
from nodeproof_operator.enforcement.selection import Selection

VERIFIERS_TROUBLE = frozenset(
    {
        Reason.ENDORSEMENTS_UNAVAILABLE,
        Reason.POLICY_INVALID,
        Reason.REFERENCE_VALUES_MISSING,
    }
)
"""Reasons that are not the node's doing: they never make its taint stronger."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one policy says about one Node."""

    policy_name: str
    generation: int
    """The policy's; 0 if it cannot be read."""
    enforced: bool
    finding: Finding
    rules: EnforcementRules
    signer: str = ""
    passed_checks: int = 0
    failed_checks: tuple[FailedCheck, ...] = ()
    had_passed: bool = False
    """The evidence is acceptable but for its age, the Node's boot or its labels."""
    had_failed: bool = False
    """The Node has left the policy's selector with evidence that is not acceptable."""
    expiration_time: datetime | None = None
    """When the pass ends that this verdict states or, in the verifier's trouble, still rests on."""

    @property
    def outcome(self) -> Outcome:
        """Passed, Failed or Unknown."""
        return self.finding.outcome

    @property
    def reason(self) -> Reason:
        """Why."""
        return self.finding.reason

    @property
    def passed(self) -> bool:
        """Whether the Node passes."""
        return self.outcome is Outcome.PASSED

    @property
    def verifiers_trouble(self) -> bool:
        """Whether the reason is none of the node's doing."""
        return self.reason in VERIFIERS_TROUBLE


def judge(selection: Selection, case: Case) -> Verdict:
    """Return what a policy says about the Node of this case.

    A failed check outweighs age, boot and labels. A kubelet can bring those about, and nothing it
    does may improve what its evidence has earned.
    """
    verdict = _judge_evidence(selection, case)
    return _left_behind(verdict) if selection.left else verdict


def _judge_evidence(selection: Selection, case: Case) -> Verdict:
    examined = examine(case)
    if isinstance(examined, Finding):
        return _verdict(selection, examined)
    silence = rebooted(case.node, examined)
    policy = selection.policy
    if isinstance(policy, PolicyInvalid):
        text = f"policy {selection.name} cannot be applied: {policy}"
        return _in_trouble(selection, silence or unknown(Reason.POLICY_INVALID, text), case)
    if fault := missing_values(policy, case.reference_values):
        trouble = unknown(Reason.REFERENCE_VALUES_MISSING, fault)
        return _in_trouble(selection, silence or trouble, case, _end(policy, examined))
    return _appraised(selection, policy, examined, silence, case)


def _left_behind(verdict: Verdict) -> Verdict:
    had_failed = verdict.outcome is Outcome.FAILED
    text = (
        f"the Node's labels have left the selector of policy {verdict.policy_name}; "
        "delete its NodeAttestation if that is meant"
    )
    if had_failed:
        text += f"; {verdict.finding.message}"
    finding = unknown(Reason.SELECTOR_LEFT, text)
    return replace(verdict, finding=finding, had_failed=had_failed)


def _verdict(selection: Selection, finding: Finding) -> Verdict:
    policy = selection.policy
    if isinstance(policy, PolicyInvalid):
        return Verdict(selection.name, 0, selection.enforced, finding, EnforcementRules())
    rules = policy.spec.enforcement
    return Verdict(selection.name, policy.generation, selection.enforced, finding, rules)


def _in_trouble(
    selection: Selection, finding: Finding, case: Case, end: datetime | None = None
) -> Verdict:
    verdict = _verdict(selection, finding)
    if not verdict.verifiers_trouble:
        return verdict
    return replace(verdict, expiration_time=_standing(selection.name, case, end))


def _standing(policy_name: str, case: Case, end: datetime | None) -> datetime | None:
    """Return until when a pass stands: as this process saw it, but not beyond the evidence.

    What a status says of a pass is no ground, and the policy may have had another age then.
    """
    seen = case.passes.get(policy_name)
    return min(seen, end) if seen and end else seen


def _end(policy: Policy, proof: VerifiedEvidence) -> datetime:
    return proof.expiration_time(policy.spec.freshness.maximum_age_seconds)


def _appraised(
    selection: Selection,
    policy: Policy,
    proof: VerifiedEvidence,
    silence: Finding | None,
    case: Case,
) -> Verdict:
    values = _readable(policy, case.reference_values)
    appraisal = appraise(proof.claims, policy, values, case.now)
    end = _end(policy, proof)
    if not appraisal.passed:
        finding = _check_failed(appraisal)
    else:
        finding = silence or _by_age(policy, end, case.now)
    verdict = replace(
        _verdict(selection, finding),
        signer=str(proof.claims.signer),
        passed_checks=len(appraisal.checks) - len(appraisal.failed),
        failed_checks=_failed_checks(appraisal),
        had_passed=appraisal.passed,
        expiration_time=end if appraisal.passed else None,
    )
    verdict = _unless_unvouched(_unless_unjudged(verdict, case), policy, proof, case)
    changes = (
        verdict.finding.recheck_time,
        next_change(policy, values, case.now),
        _next_list(policy, proof, case.now),
    )
    recheck = min((each for each in changes if each), default=None)
    return replace(verdict, finding=replace(verdict.finding, recheck_time=recheck))


def _unless_unjudged(verdict: Verdict, case: Case) -> Verdict:
    """Return the verdict, or that not the node is silent but newer evidence waits for AMD's word.

    It earns no more than that: what the older evidence had earned has ended.
    """
    deferral = waiting(case)
    if verdict.outcome is not Outcome.UNKNOWN or deferral is None:
        return verdict
    finding = unjudged(verdict.finding.message, deferral)
    return replace(verdict, finding=finding, had_passed=False, expiration_time=None)


def _unless_unvouched(
    verdict: Verdict, policy: Policy, proof: VerifiedEvidence, case: Case
) -> Verdict:
    """Return the verdict, or that the revocation list is missing which a pass needs."""
    rules = policy.spec.revocation
    if not verdict.passed or rules.mode is not RevocationMode.REQUIRED:
        return verdict
    missing = lack(proof.claims.crl, rules, case.now)
    if not missing:
        return verdict
    text = f"policy {policy.name} requires a revocation list: {missing}"
    # A pass that this process saw stands until it ends, as in any trouble of ours.
    stands = _standing(policy.name, case, _end(policy, proof))
    if stands is not None and stands > case.now:
        text += f"; what was passed before counts until {moment(stands)}"
    finding = unknown(Reason.ENDORSEMENTS_UNAVAILABLE, text)
    return replace(verdict, finding=finding, had_passed=False, expiration_time=stands)


def _by_age(policy: Policy, end: datetime, now: datetime) -> Finding:
    if end <= now:
        age = policy.spec.freshness.maximum_age_seconds
        text = f"policy {policy.name}: the newest evidence is older than {age} s"
        return unknown(Reason.EXPIRED, text)
    return Finding(Outcome.PASSED, Reason.ATTESTED, f"passes policy {policy.name}")


def missing_values(policy: Policy, reference_values: ReferenceValues) -> str:
    """Return, in one sentence, which of a policy's ReferenceValueSets is not to be had; or ''."""
    for name in policy.spec.reference_value_set_names:
        values = reference_values.get(name)
        if values is None:
            return f"ReferenceValueSet {name} of policy {policy.name} does not exist"
        if isinstance(values, PolicyInvalid):
            return f"ReferenceValueSet {name} of policy {policy.name} cannot be read: {values}"
    return ""


def _readable(policy: Policy, reference_values: ReferenceValues) -> list[ReferenceValueSet]:
    found = (reference_values.get(name) for name in policy.spec.reference_value_set_names)
    return [each for each in found if isinstance(each, ReferenceValueSet)]


def _next_list(policy: Policy, proof: VerifiedEvidence, now: datetime) -> datetime | None:
    rules = policy.spec.revocation
    if rules.mode is RevocationMode.OFF:
        return None
    return next_end(proof.claims.crl, rules, now)


def _check_failed(appraisal: Appraisal) -> Finding:
    facts = "; ".join(
        f"check {each.id} failed: expected {each.expected}, observed {each.observed}"
        for each in appraisal.failed
    )
    return failed(Reason.CHECK_FAILED, f"policy {appraisal.policy_name}: {facts}")


def _failed_checks(appraisal: Appraisal) -> tuple[FailedCheck, ...]:
    return tuple(
        FailedCheck(each.id, each.expected[:MAX_FACT_LENGTH], each.observed[:MAX_FACT_LENGTH])
        for each in appraisal.failed
    )
