"""Evidence as a whole: is it genuine, and is it this node's answer to our own challenge?

The same function judges a fresh submission and evidence read back from an object, so that nobody
who may write the object can make it say more than the hardware did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest

from nodeproof.binding import report_data
from nodeproof.challenge import Challenge, PublicKeys, open_signed
from nodeproof.errors import IdentityMismatch, ReportDataMismatch
from nodeproof.result import StoredEvidence
from nodeproof.sevsnp.crl import NOT_REQUIRED, Revocation
from nodeproof.sevsnp.report import parse_report
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.verify import VerifiedReport, verify


@dataclass(frozen=True, slots=True)
class Holder:
    """The registration that evidence belongs to: one Node of one cluster, and its object."""

    cluster_uid: str
    node_name: str
    node_uid: str
    node_attestation_uid: str


@dataclass(frozen=True, slots=True)
class VerifiedEvidence:
    """What evidence proves: a genuine report, made for this challenge in this boot."""

    claims: VerifiedReport
    challenge: Challenge
    boot_id: str

    def expiration_time(self, maximum_age_seconds: int) -> datetime:
        """Return when this evidence is too old, in whole seconds; age counts from the challenge."""
        end = self.challenge.issued_time + timedelta(seconds=maximum_age_seconds)
        return end.replace(microsecond=0)


def verify_answer(
    *,
    challenge: bytes,
    opened: Challenge,
    boot_id: str,
    report: bytes,
    certificates: Iterable[bytes],
    anchors: Sequence[TrustAnchor],
    revocation: Revocation = NOT_REQUIRED,
) -> VerifiedEvidence:
    """Return what a report proves that answers a challenge which has been opened already.

    Certificates are judged at the challenge's time: a result outlives the certificates that were
    good when it was made, by no more than its own age. A revoked signer is outlived by nothing.

    Raises:
        VerificationError: The report is not genuine or answers something else.
    """
    claims = verify(
        report,
        certificates,
        anchors=anchors,
        now=opened.issued_time,
        report_data=report_data(challenge, boot_id),
        revocation=revocation,
    )
    return VerifiedEvidence(claims=claims, challenge=opened, boot_id=boot_id)


def check_answers(report: bytes, challenge: bytes, boot_id: str) -> None:
    """Check that a report answers a challenge, whoever signed it.

    For a report whose certificates are not at hand: if it answers something else, no certificate
    can make it acceptable.

    Raises:
        ReportMalformed: It cannot be read.
        ReportVersionUnsupported: Its layout is not known.
        ReportDataMismatch: It holds other REPORT_DATA.
    """
    expected, observed = report_data(challenge, boot_id), parse_report(report).report_data
    if not compare_digest(expected, observed):
        raise ReportDataMismatch(
            "the report answers something else, whoever signed it",
            expected=f"REPORT_DATA {expected.hex()}",
            observed=observed.hex(),
        )


def verify_stored(
    evidence: StoredEvidence,
    holder: Holder,
    keys: PublicKeys,
    anchors: Sequence[TrustAnchor],
    revocation: Revocation = NOT_REQUIRED,
) -> VerifiedEvidence:
    """Return what evidence from a NodeAttestation proves about the Node that the object names.

    Raises:
        ChallengeError: The challenge is not ours, or not for this Node, object and sequence.
        VerificationError: The report is not genuine or answers something else.
    """
    opened = open_signed(evidence.challenge, keys)
    _check_holder(opened, evidence, holder)
    return verify_answer(
        challenge=evidence.challenge,
        opened=opened,
        boot_id=evidence.boot_id,
        report=evidence.report,
        certificates=evidence.certificates,
        anchors=anchors,
        revocation=revocation,
    )


def _check_holder(opened: Challenge, evidence: StoredEvidence, holder: Holder) -> None:
    pairs = {
        "cluster": (holder.cluster_uid, opened.subject.cluster_uid),
        "Node name": (holder.node_name, opened.subject.node_name),
        "Node UID": (holder.node_uid, opened.subject.node_uid),
        "NodeAttestation UID": (holder.node_attestation_uid, opened.node_attestation_uid),
        "sequence": (str(evidence.sequence), str(opened.sequence + 1)),
    }
    for what, (expected, observed) in pairs.items():
        if expected != observed:
            raise IdentityMismatch(
                f"the evidence was made for another {what}", expected=expected, observed=observed
            )
