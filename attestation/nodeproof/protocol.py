"""What agent and operator say to each other over HTTPS, and how much of it.

====================  =========================  ===============================================
request               answer                     meaning
====================  =========================  ===============================================
POST /v1/challenges   ``ChallengeAnswer``        ask for a challenge (``ChallengeRequest``)
POST /v1/evidence     ``EvidenceReceipt``        answer it (``EvidenceSubmission``)
POST /v1/unavailable  ``UnavailabilityReceipt``  say why there is no answer (``Unavailability``)
any of them, 4xx/5xx  ``Refusal``                why not, and when to come again
====================  =========================  ===============================================

Every request carries ``Authorization: Bearer`` with the pod's ServiceAccount token. Bytes travel as
base64 within JSON. Unknown members are ignored, so that a version may gain some.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from nodeproof.errors import (
    CauseUnknown,
    MessageMalformed,
    MessageTooLarge,
    ProtocolUnsupported,
)
from nodeproof.unavailability import Cause

PROTOCOL_VERSION = 1
"""What this release speaks; an operator serves this version and the one before it."""

SUPPORTED_VERSIONS = frozenset({PROTOCOL_VERSION})
"""What an operator of this release accepts from agents: version 1 has none before it."""

CHALLENGES_PATH = "/v1/challenges"
EVIDENCE_PATH = "/v1/evidence"
UNAVAILABLE_PATH = "/v1/unavailable"

TOKEN_AUDIENCE = "nodeproof"  # noqa: S105 - an audience, not a secret
"""The audience of agents' tokens: useless against the API server, and theirs against us."""

MAX_REQUEST_BYTES = 128 * 1024
"""The largest body an operator reads: a 64 KiB certificate table in base64, and the rest."""

MAX_ANSWER_BYTES = 64 * 1024
"""The largest body an agent reads."""

MAX_CERTIFICATE_TABLE_BYTES = 64 * 1024
"""The largest certificate table that is sent: what the verifier reads, which agents do not load."""

MAX_BOOT_ID_LENGTH = 64
"""Characters; Linux gives 36."""

MAX_UNAVAILABILITY_BYTES = 16 * 1024
"""The largest ``Unavailability``: its message, each character escaped, and the rest."""

MAX_CAUSE_LENGTH = 63
"""Characters of a cause, also of one that a later release knows."""

MAX_MESSAGE_LENGTH = 1024
"""Characters of an ``Unavailability``'s message."""


class ChallengeRequest(msgspec.Struct, frozen=True, rename="camel"):
    """Ask for a challenge; who asks is in the token."""

    protocol: int


class ChallengeAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """One signed challenge (``nodeproof.challenge``), at most 4,096 bytes."""

    challenge: bytes


class EvidenceSubmission(msgspec.Struct, frozen=True, rename="camel"):
    """Evidence: a report over the challenge, and the certificates that the platform gave with it.

    ``certificates`` is the platform's certificate table as the host provides it (AMD 56421, GHCB,
    extended guest request), or empty.
    """

    protocol: int
    challenge: bytes
    boot_id: str = msgspec.field(name="bootID")
    report: bytes
    certificates: bytes = b""


class EvidenceReceipt(msgspec.Struct, frozen=True, rename="camel"):
    """The evidence is genuine and stored. Whether it is acceptable is the policies' matter."""

    sequence: int
    next_seconds: float
    """When to attest again, seconds from now, jitter included."""


class Unavailability(msgspec.Struct, frozen=True, rename="camel"):
    """Why there is no evidence; who says so is in the token. It proves nothing.

    ``cause`` is any word on the wire, because a newer agent may know more of them: ``known_cause``
    tells whether it is one of ours.
    """

    protocol: int
    cause: Annotated[str, msgspec.Meta(max_length=MAX_CAUSE_LENGTH)]
    message: Annotated[str, msgspec.Meta(max_length=MAX_MESSAGE_LENGTH)] = ""
    """In the agent's words: what it expected and what it saw."""

    def known_cause(self) -> Cause:
        """Return the cause.

        Raises:
            CauseUnknown: This release has no such word.
        """
        try:
            return Cause(self.cause)
        except ValueError:
            raise CauseUnknown(
                "this operator does not know that cause",
                expected=f"one of {', '.join(Cause)}",
                observed=self.cause,
            ) from None


class UnavailabilityReceipt(msgspec.Struct, frozen=True, rename="camel"):
    """It is noted."""

    next_seconds: float
    """When to look again for a platform that is lastingly missing, jitter included."""


class Refusal(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Why a request was not accepted: the error's reason and facts."""

    reason: str
    message: str
    expected: str = ""
    observed: str = ""
    retry_after_seconds: int | None = None


Message = TypeVar(
    "Message",
    ChallengeRequest,
    ChallengeAnswer,
    EvidenceSubmission,
    EvidenceReceipt,
    Unavailability,
    UnavailabilityReceipt,
    Refusal,
)

encode = msgspec.json.Encoder().encode


def decode(data: bytes, kind: type[Message], *, limit: int = MAX_REQUEST_BYTES) -> Message:
    """Return the message in an HTTP body.

    Raises:
        MessageTooLarge: The body is longer than ``limit`` bytes.
        MessageMalformed: It is not such a message.
        ProtocolUnsupported: It is one of a protocol version that is not served.
    """
    if len(data) > limit:
        raise MessageTooLarge(
            "the body is too large", expected=f"at most {limit} bytes", observed=f"{len(data)}"
        )
    try:
        message = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if kind in _REQUESTS:
            _check_stated_version(data)
        raise MessageMalformed(f"the body is not a valid {kind.__name__}") from error
    if isinstance(message, _REQUESTS):
        _check_version(message.protocol)
    return message


class _Versioned(msgspec.Struct, frozen=True):
    """Of a request only what version it is of: another version's may look different."""

    protocol: int


_REQUESTS = (ChallengeRequest, EvidenceSubmission, Unavailability)


def _check_stated_version(data: bytes) -> None:
    """Check the version of a request that is not ours to read, if it states one."""
    try:
        stated = msgspec.json.decode(data, type=_Versioned)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    _check_version(stated.protocol)


def _check_version(version: int) -> None:
    if version in SUPPORTED_VERSIONS:
        return
    older = version < min(SUPPORTED_VERSIONS)
    raise ProtocolUnsupported(
        "this operator does not serve that protocol version: bring the "
        f"{'agent' if older else 'operator'} to the other's release",
        expected=f"one of {sorted(SUPPORTED_VERSIONS)}",
        observed=str(version),
    )
