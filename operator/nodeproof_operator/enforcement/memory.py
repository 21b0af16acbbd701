"""What a leader has seen for itself of one Node, so that nobody can make it unseen. Pure.

Everything that a status holds is genuine or worthless, but it need not be the newest: whoever may
write it can put older evidence back, or take refusals out. For as long as one process leads, that
gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from nodeproof.evidence import VerifiedEvidence
from nodeproof_operator.cluster.views import Record
from nodeproof_operator.enforcement.finding import Case, Proof
from nodeproof_operator.enforcement.result import Assessment


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one Node registration."""

    node_uid: str = ""
    record: Record | None = None
    """The NodeAttestation that was judged last."""
    enforced: bool = False
    """Whether a policy was enforced under it."""
    launch: bytes = b""
    """REPORT_ID of the guest that the passes are of: another launch is another machine."""
    passes: Mapping[str, datetime] = field(default_factory=dict)
    """When the last pass ends that was seen, by policy."""
    newest_time: datetime | None = None
    """When the newest challenge was issued whose answer was proved."""

    @property
    def enforced_record_uid(self) -> str:
        """UID of the NodeAttestation under which a policy was enforced, or empty."""
        return self.record.uid if self.record and self.enforced else ""

    def standing(self, proof: Proof) -> Mapping[str, datetime]:
        """Return the passes that this proof may rest on: those of the same launch."""
        return self.passes if _launch(proof) == self.launch else {}

    def restored(self, record: Record | None) -> Record | None:
        """Return a record with the refusals that were taken out of it.

        They end with newer evidence, or with the NodeAttestation that an admin deletes.
        """
        if record is None or self.record is None or record.uid != self.record.uid:
            return record
        earlier, status = self.record.status, record.status
        if earlier.last_refusal is None or status.evidence != earlier.evidence:
            return record
        refusals = status.last_refusal.consecutive if status.last_refusal else 0
        if refusals >= earlier.last_refusal.consecutive:
            return record
        status = msgspec.structs.replace(status, last_refusal=earlier.last_refusal)
        return replace(record, status=status)


def remember(case: Case, assessment: Assessment) -> Memory:
    """Return what to remember after a Node was judged."""
    return Memory(
        node_uid=case.node.uid,
        record=case.record,
        enforced=any(each.enforced for each in assessment.verdicts),
        launch=_launch(case.proof),
        passes={
            each.policy_name: each.expiration_time
            for each in assessment.verdicts
            if each.expiration_time and (each.passed or each.verifiers_trouble)
        },
        newest_time=_newest_time(case),
    )


def _launch(proof: Proof) -> bytes:
    return proof.claims.report.report_id if isinstance(proof, VerifiedEvidence) else b""


def _newest_time(case: Case) -> datetime | None:
    if not isinstance(case.proof, VerifiedEvidence):
        return case.newest_time
    # A clock that is ahead must not make all later evidence look old.
    issued = min(case.proof.challenge.issued_time, case.now)
    return max(issued, case.newest_time) if case.newest_time else issued
