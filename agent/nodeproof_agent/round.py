"""One attestation: challenge, report, submission."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from structlog.contextvars import bind_contextvars

from nodeproof.binding import REPORT_DATA_SIZE, report_data
from nodeproof.challenge import Subject, check_subject, read, token_digest
from nodeproof.errors import ChallengeSuperseded, ReportDataMismatch
from nodeproof.protocol import (
    MAX_CERTIFICATE_TABLE_BYTES,
    PROTOCOL_VERSION,
    EvidenceReceipt,
    EvidenceSubmission,
)
from nodeproof_agent.client import Exchange, OperatorClient
from nodeproof_agent.errors import OperatorRefused, OperatorUnreachable, ProviderFailed, reason_of
from nodeproof_agent.identity import Credentials, read_credentials
from nodeproof_agent.providers import PlatformEvidence
from nodeproof_agent.providers.worker import Platform

REPORT_DATA_OFFSET = 0x50
"""Where REPORT_DATA stands in a report (AMD 56860, ATTESTATION_REPORT)."""

MAX_CHALLENGES = 3
"""Challenges asked for in one round, if each is superseded before its answer arrives."""

MAX_SUBMISSIONS = 3
"""Times one submission is sent, as long as its answer is lost."""

_SECOND = 1.0


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
            ReportDataMismatch: The platform's report answers something else; nothing was sent.
            NodeproofError: A message or a challenge that cannot be read.
        """
        credentials = read_credentials(self.token_file)
        own = credentials.identity
        bind_contextvars(node=own.node_name, node_uid=own.node_uid, pod=own.pod_name)
        async with self.operator.exchange(credentials.token) as exchange:
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
        ReportDataMismatch: The report holds other REPORT_DATA.
        ProviderFailed: The certificate table is larger than an operator reads.
    """
    end = REPORT_DATA_OFFSET + REPORT_DATA_SIZE
    observed = evidence.report[REPORT_DATA_OFFSET:end]
    if observed != asked:
        raise ReportDataMismatch(
            "the platform's report does not answer what was asked",
            expected=asked.hex(),
            observed=observed.hex(),
        )
    if len(evidence.certificates) > MAX_CERTIFICATE_TABLE_BYTES:
        raise ProviderFailed(
            "the platform's certificate table is too large",
            expected=f"at most {MAX_CERTIFICATE_TABLE_BYTES} bytes",
            observed=f"{len(evidence.certificates)} bytes",
        )
