"""One attestation: challenge, report, submission; or a word on why there is no report."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import structlog
from structlog.contextvars import bind_contextvars

from nodeproof.binding import report_data
from nodeproof.challenge import Subject, check_subject, read, token_digest
from nodeproof.errors import ChallengeSuperseded, NodeproofError
from nodeproof.protocol import (
    MAX_CERTIFICATE_TABLE_BYTES,
    MAX_MESSAGE_LENGTH,
    PROTOCOL_VERSION,
    EvidenceReceipt,
    EvidenceSubmission,
    Unavailability,
)
from nodeproof.unavailability import Cause
from nodeproof_agent.client import Exchange, OperatorClient
from nodeproof_agent.errors import OperatorRefused, OperatorUnreachable, ProviderFailed, reason_of
from nodeproof_agent.identity import Credentials, read_credentials
from nodeproof_agent.providers import PlatformEvidence
from nodeproof_agent.providers.answers import check_report
from nodeproof_agent.providers.worker import Platform

MAX_CHALLENGES = 3
"""Challenges asked for in one round, if each is superseded before its answer arrives."""

MAX_SUBMISSIONS = 3
"""Times one submission is sent, as long as its answer is lost."""

_SECOND = 1.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Round:
    """How one attestation is done; holds nothing from one round to the next.

    Attributes:
        token_file: Read once at the start of every round.
        operator: Whom to attest to.
        platform: Where reports come from.
        random: Spreads repeated submissions.
        sleep: Waits between them.
    """

    token_file: Path
    operator: OperatorClient
    platform: Platform
    random: Random = field(default_factory=Random)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def attest(self) -> EvidenceReceipt:
        """Do one attestation.

        Raises:
            AgentError: See ``nodeproof_agent.errors``.
            IdentityMismatch: The challenge is for another Node, Pod or token; nothing was signed.
            ProviderFailed: The platform gave no evidence; the operator was told, if it listened.
            NodeproofError: A message or a challenge that cannot be read.
        """
        credentials = read_credentials(self.token_file)
        own = credentials.identity
        bind_contextvars(node=own.node_name, node_uid=own.node_uid, pod=own.pod_name)
        async with self.operator.exchange(credentials.token) as exchange:
            try:
                return await self._answer(exchange, credentials)
            except ProviderFailed as failure:
                await _excuse(exchange, failure)
                raise

    async def _answer(self, exchange: Exchange, credentials: Credentials) -> EvidenceReceipt:
        for _ in range(MAX_CHALLENGES - 1):
            try:
                return await self._answer_one(exchange, credentials)
            except OperatorRefused as refusal:
                if reason_of(refusal) != ChallengeSuperseded.reason:
                    raise
        return await self._answer_one(exchange, credentials)

    async def _answer_one(self, exchange: Exchange, credentials: Credentials) -> EvidenceReceipt:
        challenge = await exchange.challenge()
        check_meant_for(credentials, challenge)
        boot_id = await self.platform.boot_id()
        asked = report_data(challenge, boot_id)
        evidence = await self.platform.attest(asked)
        check_answers(evidence, asked)
        submission = EvidenceSubmission(
            protocol=PROTOCOL_VERSION,
            challenge=challenge,
            boot_id=boot_id,
            report=evidence.report,
            certificates=evidence.certificates,
        )
        return await self._submit(exchange, submission)

    async def _submit(self, exchange: Exchange, submission: EvidenceSubmission) -> EvidenceReceipt:
        """Send it until there is an answer: sent twice, it counts once."""
        for repeated in range(MAX_SUBMISSIONS - 1):
            try:
                return await exchange.submit(submission)
            except OperatorUnreachable:
                await self.sleep(self.random.uniform(0, _SECOND * 2**repeated))
        return await exchange.submit(submission)


async def _excuse(exchange: Exchange, failure: ProviderFailed) -> None:
    """Tell the operator why there is no evidence, and keep in the failure when to come again.

    That the operator does not listen must not hide what the round failed of.
    """
    message = str(failure)[:MAX_MESSAGE_LENGTH]
    try:
        receipt = await exchange.excuse(
            Unavailability(PROTOCOL_VERSION, str(failure.cause), message)
        )
    except NodeproofError as error:
        _log.warning(
            "the operator could not be told why there is no evidence",
            reason=reason_of(error),
            message=error.message[:MAX_MESSAGE_LENGTH],
        )
        if isinstance(error, OperatorRefused):
            failure.retry_after_seconds = error.retry_after_seconds
    else:
        failure.next_seconds = receipt.next_seconds


def check_meant_for(credentials: Credentials, challenge: bytes) -> None:
    """Check that a challenge is for this agent, so that it never signs for another node.

    Raises:
        ChallengeMalformed: The bytes are no challenge.
        IdentityMismatch: It was given to another Node, Pod or token.
    """
    asked = read(challenge)
    own = credentials.identity
    check_subject(
        asked,
        Subject(
            # An agent does not know its cluster's UID; the operator checks its own.
            cluster_uid=asked.subject.cluster_uid,
            node_name=own.node_name,
            node_uid=own.node_uid,
            pod_uid=own.pod_uid,
            token_digest=token_digest(credentials.token),
        ),
    )


def check_answers(evidence: PlatformEvidence, asked: bytes) -> None:
    """Check that the evidence is what was asked for, before it leaves the node.

    Raises:
        ProviderFailed: The report has another size or holds other REPORT_DATA, or the certificate
            table is larger than an operator reads.
    """
    check_report(evidence.report, asked)
    if len(evidence.certificates) > MAX_CERTIFICATE_TABLE_BYTES:
        raise ProviderFailed(
            "the platform's certificate table is too large",
            cause=Cause.CERTIFICATES_TOO_LARGE,
            expected=f"at most {MAX_CERTIFICATE_TABLE_BYTES} bytes",
            observed=f"{len(evidence.certificates)} bytes",
        )
