"""NodeAttestation: the stored evidence and the attestation result, as its CRD defines them.

Nothing in here is believed: evidence is verified again whenever it is read, and what a result says
is derived from evidence and policies, never read back as a claim.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum

import msgspec

CONDITION_ATTESTED = "Attested"
CONDITION_EVIDENCE_VERIFIED = "EvidenceVerified"
CONDITION_ENDORSEMENTS_CURRENT = "EndorsementsCurrent"

CONDITION_READY = "Ready"
"""Of an AttestationPolicy: whether it can be applied."""

MAX_FACT_LENGTH = 1024
"""Characters of a refusal's message and of any ``expected`` or ``observed``, by the CRD."""

REFUSALS_UNTIL_FALSE = 2
"""Refusals in a row after which a node counts as not genuine; one may be a passing fault."""


class Status(StrEnum):
    """A condition's status, as Kubernetes spells it."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why the condition ``Attested`` is what it is: a closed list."""

    ATTESTED = "Attested"
    # False: the node has shown something that is not acceptable
    CHECK_FAILED = "CheckFailed"
    NOT_GENUINE = "NotGenuine"
    SIGNER_REVOKED = "SignerRevoked"
    IDENTITY_MISMATCH = "IdentityMismatch"
    # Unknown: the node is silent
    NO_EVIDENCE = "NoEvidence"
    EXPIRED = "Expired"
    NODE_REBOOTED = "NodeRebooted"
    SELECTOR_LEFT = "SelectorLeft"
    # Unknown: nobody asks
    NOT_SELECTED = "NotSelected"
    # Unknown: the verifier has trouble
    ENDORSEMENTS_UNAVAILABLE = "EndorsementsUnavailable"
    POLICY_INVALID = "PolicyInvalid"
    REFERENCE_VALUES_MISSING = "ReferenceValuesMissing"


class Outcome(StrEnum):
    """What one policy says about one node."""

    PASSED = "Passed"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class _Status(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of the status types."""


class StoredEvidence(_Status, frozen=True):
    """``status.evidence``: one accepted submission, whole, so that anyone can verify it again."""

    sequence: int
    """One more than the sequence in the challenge that it answers."""
    challenge: bytes
    boot_id: str = msgspec.field(name="bootID")
    report: bytes
    """1,184 bytes as received."""
    certificates: tuple[bytes, ...]
    """DER: the VEK, its intermediate and the root that verified."""

    def digest(self) -> str:
        """Return the SHA-256 of this evidence in hexadecimal: its name in caches."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


class LastRefusal(_Status, frozen=True):
    """``status.lastRefusal``: the newest submission that was authentic but not genuine."""

    time: datetime
    reason: str
    message: str
    consecutive: int
    """Refusals since the last accepted evidence."""
    expected: str = ""
    observed: str = ""


class Deferral(_Status, frozen=True):
    """``status.deferral``: why the newest submission could not be judged yet.

    It is for people, and keeps a node that waits for AMD's certificates from being taken for a
    silent one. It ends with the submission that is accepted or refused.
    """

    time: datetime
    reason: str
    message: str
    expected: str = ""


class Unavailable(_Status, frozen=True):
    """``status.unavailable``: why the agent has no evidence, by its own word.

    It is for people: no outcome, label or taint follows from it. It ends with the submission that
    is accepted, refused or deferred.
    """

    time: datetime
    cause: str
    """A word of ``nodeproof.unavailability.Cause``; a newer release may have written another, which
    must not make the evidence beside it unreadable."""
    message: str = ""


class FailedCheck(_Status, frozen=True):
    """One check that a node's evidence did not pass."""

    id: str
    expected: str
    observed: str


class PolicyResult(_Status, frozen=True):
    """``status.policies[]``: what one policy says of the evidence."""

    name: str
    observed_generation: int
    outcome: Outcome
    reason: Reason
    signer: str = ""
    """``VCEK``, ``VLEK`` or ``Simulated``: whose word the outcome rests on."""
    passed_checks: int = 0
    failed_checks: tuple[FailedCheck, ...] = ()


class Condition(_Status, frozen=True):
    """A ``metav1.Condition``."""

    type: str
    status: Status
    reason: str
    message: str
    last_transition_time: datetime
    observed_generation: int | None = None


class NodeAttestationStatus(_Status, frozen=True):
    """``NodeAttestation.status`` as far as this release reads it."""

    evidence: StoredEvidence | None = None
    last_refusal: LastRefusal | None = None
    deferral: Deferral | None = None
    unavailable: Unavailable | None = None
    conditions: tuple[Condition, ...] = ()
    policies: tuple[PolicyResult, ...] = ()
    signer: str = ""
    """Who endorsed the evidence, as in ``PolicyResult``; empty before the first evidence."""
    expiration_time: datetime | None = None

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of this type, if there is one."""
        return next((each for each in self.conditions if each.type == kind), None)

    @property
    def sequence(self) -> int:
        """The sequence of the newest accepted evidence; 0 before the first."""
        return self.evidence.sequence if self.evidence else 0


class AttestationPolicyStatus(_Status, frozen=True):
    """``AttestationPolicy.status``: counts for people and dashboards; nothing reads it back."""

    observed_generation: int
    matching_nodes: int
    attested_nodes: int
    conditions: tuple[Condition, ...]
