"""What can be said of a Node's evidence before any policy is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from nodeproof.challenge import CLOCK_SKEW
from nodeproof.errors import (
    IdentityMismatch,
    NodeproofError,
    PolicyInvalid,
    SignerRevoked,
    printable,
)
from nodeproof.evidence import VerifiedEvidence
from nodeproof.policy import ReferenceValueSet
from nodeproof.result import (
    MAX_FACT_LENGTH,
    REFUSALS_UNTIL_FALSE,
    Deferral,
    LastRefusal,
    Outcome,
    Reason,
)
from nodeproof.unavailability import CAUSES, Cause
from nodeproof_operator.cluster.views import NodeView, Record
from nodeproof_operator.enforcement.errors import ChallengeKeyUnknown
from nodeproof_operator.enforcement.selection import Policies

Proof = VerifiedEvidence | NodeproofError | None
"""What verifying the stored evidence came to: a proof, the reason why not, or no evidence."""

ReferenceValues = Mapping[str, ReferenceValueSet | PolicyInvalid]
"""All ReferenceValueSets by name; one that cannot be read is represented by its error."""

KEY_RECHECK = timedelta(seconds=30)
"""When to ask again for a challenge key that is unknown: another replica may just have made it."""

_MAX_CAUSE = 63
_MAX_ADDED = 300
"""Characters of an agent's own words in a message."""

DEFERRAL_LIFE = timedelta(minutes=15)
"""How long a node counts as waiting that was told to come again: within five minutes, always."""

_MAX_BOOT_ID = 64
"""Characters of a boot ID in a message: the Node's own is whatever its kubelet writes."""


@dataclass(frozen=True, slots=True)
class Case:
    """All that a Node is judged by."""

    node: NodeView
    record: Record | None
    """The NodeAttestation of this very Node, by UID."""
    proof: Proof
    policies: Policies
    reference_values: ReferenceValues
    now: datetime
    passes: Mapping[str, datetime] = field(default_factory=dict)
    """When the last pass ends that this process saw for itself, by policy."""
    known_record_uid: str = ""
    """UID of the NodeAttestation under which this process enforced a policy last."""
    newest_time: datetime | None = None
    """When the newest challenge was issued whose answer this process has seen proved."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An outcome, why, and when time alone may change it."""

    outcome: Outcome
    reason: Reason
    message: str
    recheck_time: datetime | None = None


def failed(reason: Reason, text: str) -> Finding:
    """Return a finding against the Node; a long text is cut."""
    return Finding(Outcome.FAILED, reason, text[:MAX_FACT_LENGTH])


def unknown(reason: Reason, text: str) -> Finding:
    """Return a finding that leaves the question open; a long text is cut."""
    return Finding(Outcome.UNKNOWN, reason, text[:MAX_FACT_LENGTH])


def examine(case: Case) -> Finding | VerifiedEvidence:
    """Return the evidence if it proves something, else why not, whatever the policy."""
    refusal = _last_refusal(case)
    if refusal is not None and refusal.consecutive >= REFUSALS_UNTIL_FALSE:
        text = f"{refusal.consecutive} submissions in a row were not genuine: {_tell(refusal)}"
        return failed(_held_against(refusal), text)
    if case.proof is None:
        return _no_evidence(refusal, waiting(case))
    if isinstance(case.proof, NodeproofError):
        return _refuted(case.proof, case.now)
    return _from_the_future(case.proof, case.now) or _put_back(case, case.proof) or case.proof


def rebooted(node: NodeView, proof: VerifiedEvidence) -> Finding | None:
    """Return that the Node states another boot than its evidence, if it states one."""
    if node.boot_id in {"", proof.boot_id}:
        return None
    text = (
        f"the Node has rebooted: its evidence is of boot {proof.boot_id[:_MAX_BOOT_ID]}, "
        f"it states boot {printable(node.boot_id[:_MAX_BOOT_ID])}"
    )
    return unknown(Reason.NODE_REBOOTED, text)


def waiting(case: Case) -> Deferral | None:
    """Return why a submission newer than the evidence could not be judged yet, if there is one.

    Its word is believed no further than this: the node is not silent. One that asks no more is.
    """
    deferral = case.record.status.deferral if case.record else None
    if deferral is None or not _is_news(deferral.time, case):
        return None
    return deferral if case.now < deferral.time + DEFERRAL_LIFE else None


def excuse(case: Case) -> str:
    """Return why the agent has no evidence newer than what was judged, by its own word; or ''.

    These are words for people. Nothing else follows from them: who could only say what keeps
    evidence away could say anything.
    """
    said = case.record.status.unavailable if case.record else None
    if said is None or not _is_news(said.time, case):
        return ""
    text = f"its agent says that it has no evidence: {printable(said.cause)[:_MAX_CAUSE]}"
    if said.cause in CAUSES:
        explanation = CAUSES[Cause(said.cause)]
        text += f" ({explanation.title}). {explanation.remedy}"
    if said.message:
        text += f' It adds: "{printable(said.message)[:_MAX_ADDED]}"'
    return text


def unjudged(before: str, deferral: Deferral) -> Finding:
    """Return that the newest submission waits for certificates, after what was to be said else."""
    text = f"{before}; newer evidence cannot be judged yet: {deferral.message}"
    if deferral.expected:
        text += f" (expected {deferral.expected})"
    finding = unknown(Reason.ENDORSEMENTS_UNAVAILABLE, text)
    return replace(finding, recheck_time=deferral.time + DEFERRAL_LIFE)


def moment(time: datetime) -> str:
    """Return a time as Kubernetes writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_news(time: datetime, case: Case) -> bool:
    """Tell whether something stored was written after the evidence it stands beside."""
    # A time that lies ahead is none that we wrote.
    if time.tzinfo is None or time > case.now + CLOCK_SKEW:
        return False
    proof = case.proof
    return not isinstance(proof, VerifiedEvidence) or time > proof.challenge.issued_time


def _no_evidence(refusal: LastRefusal | None, deferral: Deferral | None) -> Finding:
    text = "no evidence of this Node has been accepted yet"
    if refusal is not None:
        text += f"; the last submission that could be judged was not genuine: {_tell(refusal)}"
    return unjudged(text, deferral) if deferral else unknown(Reason.NO_EVIDENCE, text)


def _refuted(error: NodeproofError, now: datetime) -> Finding:
    if isinstance(error, ChallengeKeyUnknown):
        finding = unknown(Reason.NO_EVIDENCE, f"the stored evidence counts no more: {error}")
        return replace(finding, recheck_time=now + KEY_RECHECK)
    if isinstance(error, IdentityMismatch):
        return failed(Reason.IDENTITY_MISMATCH, f"the stored evidence is not this Node's: {error}")
    if isinstance(error, SignerRevoked):
        return failed(Reason.SIGNER_REVOKED, f"the stored evidence counts no more: {error}")
    text = f"the stored evidence is not shown to be genuine: {error.reason}: {error}"
    return failed(Reason.NOT_GENUINE, text)


def _from_the_future(proof: VerifiedEvidence, now: datetime) -> Finding | None:
    # Only our own keys can have dated it, so the replicas' clocks disagree. Believing it would let
    # it live too long; calling it a crime would evict pods for our own fault.
    begins = proof.challenge.issued_time - CLOCK_SKEW
    if begins <= now:
        return None
    text = "the evidence is dated in the future: compare the clocks where the operator runs"
    return Finding(Outcome.UNKNOWN, Reason.NO_EVIDENCE, text, recheck_time=begins)


def _put_back(case: Case, proof: VerifiedEvidence) -> Finding | None:
    # Not the node's doing: intake stores nothing older, so somebody else has written the status.
    if case.newest_time is None or proof.challenge.issued_time >= case.newest_time - CLOCK_SKEW:
        return None
    text = "the evidence is older than what was accepted before: somebody has put it back"
    return unknown(Reason.NO_EVIDENCE, text)


def _held_against(refusal: LastRefusal) -> Reason:
    """Return what refusals come to; a revoked signer is called so whoever has found it."""
    revoked = refusal.reason == SignerRevoked.reason
    return Reason.SIGNER_REVOKED if revoked else Reason.NOT_GENUINE


def _last_refusal(case: Case) -> LastRefusal | None:
    return case.record.status.last_refusal if case.record else None


def _tell(refusal: LastRefusal) -> str:
    told = f"{refusal.reason}: {refusal.message}"
    if refusal.expected or refusal.observed:
        told += f" (expected {refusal.expected}, observed {refusal.observed})"
    return told
