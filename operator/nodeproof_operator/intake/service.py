"""The pipeline: from a token to a challenge, from an answer to stored evidence.

Read ``EvidenceService``'s ``challenge``, ``evidence`` and ``unavailable`` from top to bottom: every
line is one thing that must hold, cheapest first. Nothing is kept between requests: a challenge
carries all that its answer is judged by, so any replica can take it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import Random
from secrets import token_bytes

import msgspec
import structlog

from nodeproof.challenge import (
    NONCE_SIZE,
    Challenge,
    Subject,
    check_life,
    check_subject,
    mint,
    token_digest,
)
from nodeproof.errors import (
    EndorsementMismatch,
    EndorsementsMissing,
    EndorsementsUnavailable,
    MessageMalformed,
    MessageTooLarge,
    VerificationError,
    printable,
)
from nodeproof.evidence import VerifiedEvidence, check_answers, verify_answer
from nodeproof.protocol import (
    MAX_BOOT_ID_LENGTH,
    MAX_CERTIFICATE_TABLE_BYTES,
    MAX_UNAVAILABILITY_BYTES,
    ChallengeAnswer,
    ChallengeRequest,
    EvidenceReceipt,
    EvidenceSubmission,
    Unavailability,
    UnavailabilityReceipt,
    decode,
)
from nodeproof.result import MAX_FACT_LENGTH, Unavailable
from nodeproof.sevsnp.crl import Revocation
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.unavailability import Cause
from nodeproof_operator.cluster.views import Record
from nodeproof_operator.intake.admission import RateLimiter
from nodeproof_operator.intake.challenges import Keyring
from nodeproof_operator.intake.collateral import (
    Endorsements,
    Known,
    known_certificates,
    submitted_certificates,
)
from nodeproof_operator.intake.identity import AgentIdentity, Authenticator
from nodeproof_operator.intake.registry import Answer, Registry
from nodeproof_operator.intake.verification import VerificationPool

JITTER = 0.1
"""Share of the interval by which the agents' visits are spread, to either side."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Evidence that is genuine and stored.

    Attributes:
        receipt: What the agent is told.
        signer: Whose word it rests on; empty if it had been stored before.
    """

    receipt: EvidenceReceipt
    signer: str


@dataclass(frozen=True, slots=True)
class Excused:
    """A word on missing evidence that is noted.

    Attributes:
        receipt: What the agent is told.
        cause: Why there is none.
        message: The same in the agent's words, printable.
    """

    receipt: UnavailabilityReceipt
    cause: Cause
    message: str


@dataclass(frozen=True, slots=True)
class EvidenceService:
    """Gives out challenges and takes the answers.

    Attributes:
        cluster_uid: The cluster's identity: a challenge of another cluster is not ours.
        authenticator: Who calls.
        node_limiter: How often an authenticated node may ask.
        keyring: The keys that challenges are signed with.
        registry: Where evidence and refusals go.
        pool: Where signatures are checked.
        endorsements: AMD's certificates and revocation lists.
        anchors: The roots that count.
        interval_seconds: How often nodes attest, by the policies in force.
        clock: The time, with its zone.
        random: Spreads the agents' visits; never a source of nonces.
    """

    cluster_uid: str
    authenticator: Authenticator
    node_limiter: RateLimiter
    keyring: Keyring
    registry: Registry
    pool: VerificationPool
    endorsements: Endorsements
    anchors: Sequence[TrustAnchor]
    interval_seconds: Callable[[], int]
    clock: Callable[[], datetime]
    random: Random

    async def challenge(self, token: str, body: bytes) -> ChallengeAnswer:
        """Return a fresh challenge for the agent that holds ``token``.

        Raises:
            MessageError: The body is not a request of a version that is served.
            AuthenticationError: See ``Authenticator.authenticate``.
            Overloaded: The node asks too often, or the API server cannot be asked.
        """
        decode(body, ChallengeRequest)
        identity = await self.authenticator.authenticate(token)
        _name_in_log(identity.node_name, identity.node_uid)
        self.node_limiter.admit(identity.node_uid)
        record = await self.registry.ensure(identity.node_name, identity.node_uid)
        key = self.keyring.signing_key()
        challenge = Challenge(
            key_id=key.id,
            nonce=token_bytes(NONCE_SIZE),
            issued_time=self.clock(),
            subject=self._subject(identity, token),
            node_attestation_uid=record.uid,
            sequence=record.status.sequence,
        )
        return ChallengeAnswer(mint(challenge, key.private_key))

    async def evidence(self, token: str, body: bytes) -> Accepted:
        """Take the answer to a challenge; the same answer again gets the same receipt.

        Raises:
            MessageError: The body is not a submission of a version that is served.
            ChallengeError: The challenge is not ours, not this caller's, too old or superseded.
            VerificationError: The evidence is not genuine; that is recorded.
            EndorsementsUnavailable: It cannot be judged yet; that is recorded as well.
            Overloaded: Nothing is wrong with the answer: it may come again.
        """
        submission = decode(body, EvidenceSubmission)
        _check_bounds(submission)
        opened = await self.keyring.open(submission.challenge)
        check_subject(opened, self._answering(opened, token))
        _name_in_log(opened.subject.node_name, opened.subject.node_uid)
        self.node_limiter.admit(opened.subject.node_uid)
        check_life(opened, self.clock())
        answer = Answer(submission, opened)
        record = await self.registry.current(answer)
        if answer.is_stored_in(record):
            return self._accepted(answer, signer="")
        known = self.endorsements.known(submission.report)
        try:
            verified = await self.pool.run(partial(self._verify, answer, known))
        except VerificationError as error:
            verdict = self._verdict(record, answer, error)
            await self.registry.turn_away(record, answer, verdict, self.clock())
            if verdict is error:
                raise
            raise verdict from error
        await self.registry.store(record, answer, verified)
        self.endorsements.note(verified.claims)
        return self._accepted(answer, signer=verified.claims.signer)

    async def unavailable(self, token: str, body: bytes) -> Excused:
        """Note why the agent that holds ``token`` has no evidence: its word, and no more.

        Raises:
            MessageError: The body is no such message, or its cause is a word we do not have.
            AuthenticationError: See ``Authenticator.authenticate``.
            Overloaded: The node asks too often, or the API server cannot be asked.
        """
        said = decode(body, Unavailability, limit=MAX_UNAVAILABILITY_BYTES)
        cause = said.known_cause()
        identity = await self.authenticator.authenticate(token)
        _name_in_log(identity.node_name, identity.node_uid)
        self.node_limiter.admit(identity.node_uid)
        message = printable(said.message)[:MAX_FACT_LENGTH]
        noted = Unavailable(self.clock(), str(cause), message)
        await self.registry.note(identity.node_name, identity.node_uid, noted)
        return Excused(UnavailabilityReceipt(self._next_seconds()), cause, message)

    def _subject(self, identity: AgentIdentity, token: str) -> Subject:
        return Subject(
            cluster_uid=self.cluster_uid,
            node_name=identity.node_name,
            node_uid=identity.node_uid,
            pod_uid=identity.pod_uid,
            token_digest=token_digest(token),
        )

    def _answering(self, opened: Challenge, token: str) -> Subject:
        """Return whom an answer comes from.

        Node and Pod need no second TokenReview: the challenge that we signed says whose they are,
        and only the holder of the same token may answer it.
        """
        return msgspec.structs.replace(
            opened.subject, cluster_uid=self.cluster_uid, token_digest=token_digest(token)
        )

    def _verdict(
        self, record: Record, answer: Answer, error: VerificationError
    ) -> VerificationError | EndorsementsUnavailable:
        """Return what is to be said of an answer: certificates that are fetched may change it."""
        if not isinstance(error, EndorsementsMissing | EndorsementMismatch):
            return error
        submission, subject = answer.submission, answer.challenge.subject
        try:
            check_answers(submission.report, submission.challenge, submission.boot_id)
        except VerificationError as final:
            # No certificate can help: a wrong one is fault enough, a missing one is none.
            return final if isinstance(error, EndorsementsMissing) else error
        deadline = _deadline(record, self.clock())
        deferral = self.endorsements.fetch(submission.report, subject.node_uid, deadline, error)
        return deferral or error

    def _verify(self, answer: Answer, known: Known) -> VerifiedEvidence:
        submission = answer.submission
        return verify_answer(
            challenge=submission.challenge,
            opened=answer.challenge,
            boot_id=submission.boot_id,
            report=submission.report,
            certificates=(
                *submitted_certificates(submission.certificates),
                *known_certificates(known.certificates),
            ),
            anchors=self.anchors,
            revocation=Revocation(known.crls, in_force_at=self.clock()),
        )

    def _accepted(self, answer: Answer, signer: str) -> Accepted:
        receipt = EvidenceReceipt(sequence=answer.sequence, next_seconds=self._next_seconds())
        return Accepted(receipt, signer)

    def _next_seconds(self) -> float:
        return self.interval_seconds() * self.random.uniform(1 - JITTER, 1 + JITTER)


def _deadline(record: Record, now: datetime) -> datetime | None:
    """Return when a node's live result ends; it decides on nothing but the order of fetches."""
    end = record.status.expiration_time
    return end if end is not None and end.tzinfo is not None and end > now else None


def _check_bounds(submission: EvidenceSubmission) -> None:
    if len(submission.certificates) > MAX_CERTIFICATE_TABLE_BYTES:
        raise MessageTooLarge(
            "the certificate table is too large",
            expected=f"at most {MAX_CERTIFICATE_TABLE_BYTES} bytes",
            observed=f"{len(submission.certificates)} bytes",
        )
    boot_id = submission.boot_id
    if not (len(boot_id) <= MAX_BOOT_ID_LENGTH and boot_id.isascii() and boot_id.isprintable()):
        raise MessageMalformed(
            "the boot ID is not one", expected=f"at most {MAX_BOOT_ID_LENGTH} printable characters"
        )


def _name_in_log(node_name: str, node_uid: str) -> None:
    """Let the request's log line say which node it was; each request has its own context."""
    structlog.contextvars.bind_contextvars(node=node_name, node_uid=node_uid)
