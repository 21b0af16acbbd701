"""The attestation result of one Node: what every policy says, summed up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from nodeproof.errors import NodeproofError
from nodeproof.evidence import VerifiedEvidence
from nodeproof.policy import Policy, SignerKind
from nodeproof.result import (
    CONDITION_ATTESTED,
    CONDITION_ENDORSEMENTS_CURRENT,
    CONDITION_EVIDENCE_VERIFIED,
    MAX_FACT_LENGTH,
    Condition,
    NodeAttestationStatus,
    Outcome,
    PolicyResult,
    Reason,
    Status,
)
from nodeproof_operator.enforcement.errors import ChallengeKeyUnknown
from nodeproof_operator.enforcement.finding import Case, excuse
from nodeproof_operator.enforcement.revocation import endorsements_current
from nodeproof_operator.enforcement.selection import Selection, released, select
from nodeproof_operator.enforcement.verdict import Verdict, judge

MAX_POLICIES = 64
"""Entries of ``status.policies``, by the CRD."""

_WORST_FIRST = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.PASSED)

_STATUS = {
    Outcome.PASSED: Status.TRUE,
    Outcome.FAILED: Status.FALSE,
    Outcome.UNKNOWN: Status.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is to be said about one Node, and what its labels and taint follow from."""

    node_name: str
    node_uid: str
    verdicts: tuple[Verdict, ...]
    attested: Condition
    evidence_verified: Condition
    endorsements_current: Condition
    signer: str
    expiration_time: datetime | None
    """When the first of the passes ends that the condition rests on."""
    released: bool
    """Some policy that may have labelled or tainted the Node has no say any more."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that ``status.conditions`` holds."""
        return (self.attested, self.evidence_verified, self.endorsements_current)

    @property
    def policies(self) -> tuple[PolicyResult, ...]:
        """The verdicts as ``status.policies`` holds them, the worst first if there are too many."""
        kept = sorted(self.verdicts, key=_badness)[:MAX_POLICIES]
        return tuple(_policy_result(each) for each in sorted(kept, key=_by_name))


def assess(case: Case) -> Assessment:
    """Return the result of a Node: evidence, policies and time decide, never an earlier result.

    From the earlier status come only times of transition, the names of policies that the Node has
    left, and refusals, all of which can but lower trust; a deferral, which earns no label; and the
    agent's word on missing evidence, which is shown where something is unknown and changes nothing.
    """
    selections = select(case.node, case.record, case.policies)
    verdicts = tuple(judge(each, case) for each in selections)
    counting = [each for each in verdicts if each.enforced] or list(verdicts)
    proof = case.proof
    signer = str(proof.claims.signer) if isinstance(proof, VerifiedEvidence) else ""
    forgotten = bool(case.known_record_uid) and case.known_record_uid != _record_uid(case)
    return Assessment(
        node_name=case.node.name,
        node_uid=case.node.uid,
        verdicts=verdicts,
        attested=_attested(counting, signer, case),
        evidence_verified=_evidence_verified(case),
        endorsements_current=_endorsements_current(case, selections),
        signer=signer,
        expiration_time=min(
            (each.expiration_time for each in counting if each.passed and each.expiration_time),
            default=None,
        ),
        released=forgotten or released(case.node, case.record, case.policies, selections),
    )


def needs_writing(stored: NodeAttestationStatus, assessment: Assessment, now: datetime) -> bool:
    """Tell whether a NodeAttestation says something else than this assessment.

    Times alone are no reason, as freshness changes with every attestation; but the stored
    expiration time must not pass while the result holds, so it is renewed half-way.
    """
    conditions = {each.type: (each.status, each.reason, each.message) for each in stored.conditions}
    return (
        stored.policies != assessment.policies
        or stored.signer != assessment.signer
        or any(
            conditions.get(each.type) != (each.status, each.reason, each.message)
            for each in assessment.conditions
        )
        or _half_gone(stored.expiration_time, assessment.expiration_time, now)
    )


def _half_gone(stored: datetime | None, actual: datetime | None, now: datetime) -> bool:
    if stored is None or actual is None:
        return stored is not actual
    if stored.tzinfo is None or stored > actual:
        return True
    return stored - now < (actual - now) / 2


def _attested(counting: Sequence[Verdict], signer: str, case: Case) -> Condition:
    if not counting:
        text = "no AttestationPolicy selects this Node"
        return _condition(CONDITION_ATTESTED, Status.UNKNOWN, Reason.NOT_SELECTED, text, case)
    outcome = min((each.outcome for each in counting), key=_WORST_FIRST.index)
    decisive = [each for each in counting if each.outcome is outcome]
    messages = list(dict.fromkeys(each.finding.message for each in decisive))
    if signer == SignerKind.SIMULATED:
        messages.insert(0, "simulated platform: not a proof")
    text = "; ".join(messages)
    if outcome is Outcome.UNKNOWN and (said := excuse(case)):
        # Many policies say much of one silence: what it comes from must not be cut off.
        text = f"{text[: MAX_FACT_LENGTH - len(said) - 2]}; {said}"
    return _condition(CONDITION_ATTESTED, _STATUS[outcome], decisive[0].reason, text, case)


def _evidence_verified(case: Case) -> Condition:
    kind, proof = CONDITION_EVIDENCE_VERIFIED, case.proof
    if proof is None:
        text = "there is no evidence"
        return _condition(kind, Status.UNKNOWN, Reason.NO_EVIDENCE, text, case)
    if isinstance(proof, NodeproofError):
        unknown = isinstance(proof, ChallengeKeyUnknown)
        status = Status.UNKNOWN if unknown else Status.FALSE
        return _condition(kind, status, proof.reason, str(proof), case)
    text = f"genuine, and the answer to our challenge; endorsed by {proof.claims.signer}"
    return _condition(kind, Status.TRUE, "Verified", text, case)


def _endorsements_current(case: Case, selections: Iterable[Selection]) -> Condition:
    policies = (each.policy for each in selections)
    asked = [each.spec.revocation for each in policies if isinstance(each, Policy)]
    status, reason, text = endorsements_current(case, asked)
    return _condition(CONDITION_ENDORSEMENTS_CURRENT, status, reason, text, case)


def _condition(kind: str, status: Status, reason: str, message: str, case: Case) -> Condition:
    earlier = case.record.status.condition(kind) if case.record else None
    since = case.now
    if earlier is not None and earlier.status is status:
        since = _not_after(earlier.last_transition_time, case.now)
    return Condition(kind, status, str(reason), message[:MAX_FACT_LENGTH], since)


def _not_after(stored: datetime, now: datetime) -> datetime:
    """Return a stored time unless it is no instant or lies ahead: grace counts from it."""
    return now if stored.tzinfo is None else min(stored, now)


def _record_uid(case: Case) -> str:
    return case.record.uid if case.record else ""


def _badness(verdict: Verdict) -> tuple[bool, int]:
    return (not verdict.enforced, _WORST_FIRST.index(verdict.outcome))


def _by_name(verdict: Verdict) -> str:
    return verdict.policy_name


def _policy_result(verdict: Verdict) -> PolicyResult:
    return PolicyResult(
        name=verdict.policy_name,
        observed_generation=verdict.generation,
        outcome=verdict.outcome,
        reason=verdict.reason,
        signer=verdict.signer,
        passed_checks=verdict.passed_checks,
        failed_checks=verdict.failed_checks,
    )
