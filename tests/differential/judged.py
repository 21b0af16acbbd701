"""One piece of evidence, judged by both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cases.evidence import Evidence
from nodeproof.errors import VerificationError
from nodeproof.sevsnp.crl import NOT_REQUIRED, Revocation
from nodeproof.sevsnp.verify import VerifiedReport, verify
from nodeproof_dev.go_sev_guest import GoSEVGuest, Question, Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """What both say."""

    evidence: Evidence
    ours: VerifiedReport | VerificationError
    theirs: Verdict

    @property
    def accepted(self) -> VerifiedReport | None:
        """What the evidence proves to us; None if we refuse it."""
        return None if isinstance(self.ours, VerificationError) else self.ours

    @property
    def refused(self) -> VerificationError | None:
        """Why we refuse the evidence; None if we do not."""
        return self.ours if isinstance(self.ours, VerificationError) else None

    @property
    def agreed(self) -> bool:
        """Both accept, or both refuse, for whatever reason."""
        return (self.accepted is not None) == self.theirs.accepted

    @property
    def version(self) -> int:
        """VERSION of the report."""
        return int.from_bytes(self.evidence.report[:4], "little")

    def __str__(self) -> str:
        ours = "accepted" if self.refused is None else f"{self.refused.reason}: {self.refused}"
        theirs = "accepted" if self.theirs.accepted else self.theirs.error
        return f"{self.evidence.name}\n      ours: {ours}\n    theirs: {theirs[:300]}"


def question(evidence: Evidence) -> Question:
    """Return the evidence as the other one is asked about it."""
    chain = evidence.certificates
    if evidence.trusted_root is not None:
        chain = (*chain[:2], evidence.trusted_root)
    return Question(
        report=evidence.report,
        certificates=chain,
        at=evidence.at,
        product=evidence.product,
        crl=evidence.crl,
    )


def judge_all(evidence: Iterable[Evidence], peer: GoSEVGuest) -> Iterator[Judged]:
    """Yield what both say of each; the other one judges while we do."""
    for each in evidence:
        peer.ask(question(each))
        ours = _judge(each)
        yield Judged(each, ours, peer.answer())


def _judge(evidence: Evidence) -> VerifiedReport | VerificationError:
    crl = evidence.crl
    revocation = NOT_REQUIRED if crl is None else Revocation((crl,), required=True)
    try:
        return verify(
            evidence.report,
            evidence.certificates,
            anchors=evidence.anchors,
            now=evidence.at,
            report_data=None,
            revocation=revocation,
        )
    except VerificationError as error:
        return error
