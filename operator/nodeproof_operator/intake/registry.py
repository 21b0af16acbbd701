"""Where answers become evidence: at most once, whoever else writes at the same time.

The only memory of intake is the node's NodeAttestation. Every write is conditional on the
resourceVersion that was judged; when somebody else was first, the judgement is made anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from nodeproof.challenge import CLOCK_SKEW, Challenge
from nodeproof.errors import (
    ChallengeSuperseded,
    EndorsementsUnavailable,
    Overloaded,
    VerificationError,
)
from nodeproof.evidence import VerifiedEvidence
from nodeproof.protocol import EvidenceSubmission
from nodeproof.result import (
    MAX_FACT_LENGTH,
    Deferral,
    LastRefusal,
    StoredEvidence,
    Unavailable,
)
from nodeproof_operator.cluster.errors import Conflict, NotFound
from nodeproof_operator.cluster.records import Records
from nodeproof_operator.cluster.views import Record
from nodeproof_operator.intake.errors import API_RETRY_SECONDS, deferred_on_api_trouble

MAX_TRIES = 5
"""Writes of one answer: others write a NodeAttestation a few times in a round at most."""

RENEWAL = timedelta(minutes=5)
"""How old a deferral, or a word on missing evidence, may get before the same is written again: a
fleet that waits costs few writes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A submission together with its challenge, which is ours."""

    submission: EvidenceSubmission
    challenge: Challenge

    @property
    def sequence(self) -> int:
        """The sequence that this answer has, or would have, as stored evidence."""
        return self.challenge.sequence + 1

    def is_stored_in(self, record: Record) -> bool:
        """Whether the record's evidence is this very submission."""
        stored = record.status.evidence
        return stored is not None and (
            (stored.sequence, stored.challenge, stored.boot_id, stored.report)
            == (
                self.sequence,
                self.submission.challenge,
                self.submission.boot_id,
                self.submission.report,
            )
        )

    def evidence(self, verified: VerifiedEvidence) -> StoredEvidence:
        """Return what is stored: the submission, with only the certificates that counted."""
        return StoredEvidence(
            sequence=self.sequence,
            challenge=self.submission.challenge,
            boot_id=self.submission.boot_id,
            report=self.submission.report,
            certificates=verified.claims.chain,
        )


@dataclass(frozen=True, slots=True)
class Registry:
    """Keeps every Node's newest evidence and refusal.

    Attributes:
        records: The NodeAttestations.
    """

    records: Records

    async def ensure(self, node_name: str, node_uid: str) -> Record:
        """Return the record of a Node, made if there is none.

        Raises:
            Overloaded: The API server cannot be asked now.
        """
        with deferred_on_api_trouble():
            return await self.records.ensure(node_name, node_uid)

    async def current(self, answer: Answer) -> Record:
        """Return the record that ``answer`` may change, or has changed already.

        Raises:
            ChallengeSuperseded: The record is another one, or holds newer evidence.
            Overloaded: The API server cannot be asked now.
        """
        asked = answer.challenge
        with deferred_on_api_trouble():
            try:
                record = await self.records.read(asked.subject.node_name)
            except NotFound:
                raise ChallengeSuperseded("the node's NodeAttestation is gone") from None
        if record.uid != asked.node_attestation_uid:
            raise ChallengeSuperseded(
                "the node's NodeAttestation was made anew",
                expected=asked.node_attestation_uid,
                observed=record.uid,
            )
        if record.status.sequence != asked.sequence and not answer.is_stored_in(record):
            raise ChallengeSuperseded(
                "other evidence has been accepted since",
                expected=f"sequence {record.status.sequence}",
                observed=f"sequence {asked.sequence}",
            )
        return record

    async def store(self, record: Record, answer: Answer, verified: VerifiedEvidence) -> None:
        """Store genuine evidence in the record that was judged, or in what has become of it.

        Raises:
            ChallengeSuperseded: Other evidence was accepted in the meantime.
            Overloaded: The API server cannot be asked now, or others write all the time.
        """
        evidence = answer.evidence(verified)
        await self._settle(
            record,
            answer,
            done=answer.is_stored_in,
            write=lambda judged: self.records.write_evidence(judged, evidence),
        )

    async def turn_away(
        self,
        record: Record,
        answer: Answer,
        error: VerificationError | EndorsementsUnavailable,
        now: datetime,
    ) -> None:
        """Record why an authentic answer is not accepted: refused, or deferred.

        Raises:
            ChallengeSuperseded: Other evidence was accepted in the meantime.
            Overloaded: The API server cannot be asked now, or others write all the time.
        """
        if isinstance(error, EndorsementsUnavailable):
            await self._defer(record, answer, error, now)
        else:
            await self._refuse(record, answer, error, now)

    async def note(self, node_name: str, node_uid: str, unavailable: Unavailable) -> None:
        """Record why a Node's agent has no evidence, unless it said so a moment ago.

        Raises:
            Overloaded: The API server cannot be asked now, or others write all the time.
        """
        for _ in range(MAX_TRIES):
            record = await self.ensure(node_name, node_uid)
            if _known(record, unavailable):
                return
            with deferred_on_api_trouble(), suppress(Conflict, NotFound):
                await self.records.write_unavailable(record, unavailable)
                return
        raise _busy()

    async def _refuse(
        self, record: Record, answer: Answer, error: VerificationError, now: datetime
    ) -> None:
        """Record that an authentic answer is not genuine; each challenge counts once."""
        await self._settle(
            record,
            answer,
            done=lambda judged: answer.is_stored_in(judged) or _counted(judged, answer, now),
            write=lambda judged: self.records.write_refusal(judged, _refusal(judged, error, now)),
        )

    async def _defer(
        self, record: Record, answer: Answer, error: EndorsementsUnavailable, now: datetime
    ) -> None:
        """Record why an answer cannot be judged yet, unless that was said a moment ago."""
        deferral = _deferral(error, now)
        await self._settle(
            record,
            answer,
            done=lambda judged: answer.is_stored_in(judged) or _told(judged, deferral),
            write=lambda judged: self.records.write_deferral(judged, deferral),
        )

    async def _settle(
        self,
        record: Record,
        answer: Answer,
        *,
        done: Callable[[Record], bool],
        write: Callable[[Record], Awaitable[object]],
    ) -> None:
        """Write to the record that was judged; after a conflict judge what has become of it."""
        for _ in range(MAX_TRIES):
            if done(record):
                return
            with deferred_on_api_trouble():
                try:
                    await write(record)
                except (Conflict, NotFound):
                    record = await self.current(answer)
                else:
                    return
        raise _busy()


def _counted(record: Record, answer: Answer, now: datetime) -> bool:
    """Whether a refusal is recorded that is newer than this answer's challenge.

    Two refusals in a row are held against a node, so an answer that is sent twice because the reply
    was lost must not count as two. A time that lies ahead is none that we wrote.
    """
    last = record.status.last_refusal
    if last is None or last.time.tzinfo is None:
        return False
    return answer.challenge.issued_time <= last.time <= now + CLOCK_SKEW


def _refusal(record: Record, error: VerificationError, now: datetime) -> LastRefusal:
    last = record.status.last_refusal
    return LastRefusal(
        time=now,
        reason=error.reason,
        message=error.message[:MAX_FACT_LENGTH],
        consecutive=last.consecutive + 1 if last else 1,
        expected=error.expected[:MAX_FACT_LENGTH],
        observed=error.observed[:MAX_FACT_LENGTH],
    )


def _told(record: Record, deferral: Deferral) -> bool:
    """Whether the record says the same already, not long ago."""
    last = record.status.deferral
    return last is not None and last.reason == deferral.reason and _recent(last.time, deferral.time)


def _known(record: Record, unavailable: Unavailable) -> bool:
    """Whether the record says the same already, not long ago."""
    last = record.status.unavailable
    if last is None or last.cause != unavailable.cause:
        return False
    return _recent(last.time, unavailable.time)


def _recent(time: datetime, now: datetime) -> bool:
    """Whether a time needs no renewal; one that lies ahead is none that we wrote."""
    return time.tzinfo is not None and now - RENEWAL < time <= now + CLOCK_SKEW


def _deferral(error: EndorsementsUnavailable, now: datetime) -> Deferral:
    return Deferral(
        time=now,
        reason=error.reason,
        message=error.message[:MAX_FACT_LENGTH],
        expected=error.expected[:MAX_FACT_LENGTH],
    )


def _busy() -> Overloaded:
    return Overloaded(
        "the NodeAttestation is being written all the time", retry_after_seconds=API_RETRY_SECONDS
    )
