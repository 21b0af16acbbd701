"""Signed challenges: all that any operator replica needs to take an answer, held by the agent.

On the wire a challenge is its payload (JSON) followed by a 64-byte Ed25519 signature (RFC 8032)
over a domain and the payload. Nothing is stored per challenge: the signature shows that it is ours,
the identities in it show whose it is, ``sequence`` makes it count once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from nodeproof.errors import (
    ChallengeExpired,
    ChallengeForged,
    ChallengeMalformed,
    IdentityMismatch,
)

if TYPE_CHECKING:
    # Not at run time: an agent only reads challenges, and the library would cost it 6 MiB.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

DOMAIN = b"nodeproof.dev/challenge/v1\x00"
"""Signed before the payload, so that the key's other signatures can never pass as challenges."""

LIFE = timedelta(seconds=120)
"""How long an answer is awaited: a throttled firmware may take a minute to make one report."""

CLOCK_SKEW = timedelta(seconds=5)
"""How far the clocks of two replicas may be apart."""

NONCE_SIZE = 32
"""Bytes of randomness in a challenge."""

MAX_SIZE = 4096
"""Bytes of the largest challenge that is read."""

SIGNATURE_SIZE = 64
"""Bytes of an Ed25519 signature (RFC 8032, section 5.1.6)."""

PublicKeys: TypeAlias = "Mapping[str, Ed25519PublicKey]"
"""Challenge keys in force, by key ID."""


class Subject(msgspec.Struct, frozen=True, rename="camel"):
    """Whom a challenge is for; every part must match when the answer comes back."""

    cluster_uid: str = msgspec.field(name="clusterUID")
    node_name: str
    node_uid: str = msgspec.field(name="nodeUID")
    pod_uid: str = msgspec.field(name="podUID")
    token_digest: bytes
    """SHA-256 of the bearer token, 32 bytes: the answer must come with the same token."""


class Challenge(msgspec.Struct, frozen=True, rename="camel"):
    """One question to one agent.

    ``node_attestation_uid`` and ``sequence`` name the state that the answer may replace: once any
    evidence has been accepted, every challenge of an earlier sequence is superseded.
    """

    key_id: str = msgspec.field(name="keyID")
    nonce: bytes
    issued_time: datetime
    subject: Subject
    node_attestation_uid: str = msgspec.field(name="nodeAttestationUID")
    sequence: int


def key_id(public_key: Ed25519PublicKey) -> str:
    """Return the name of a challenge key: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public_key.public_bytes_raw()).hexdigest()[:16]


def token_digest(token: str) -> bytes:
    """Return the SHA-256 of a bearer token, 32 bytes."""
    return hashlib.sha256(token.encode()).digest()


def mint(challenge: Challenge, key: Ed25519PrivateKey) -> bytes:
    """Return the signed wire form of a challenge, whose ``key_id`` must be that of ``key``."""
    payload = msgspec.json.encode(challenge)
    return payload + key.sign(DOMAIN + payload)


def read(data: bytes) -> Challenge:
    """Return what a challenge says, without asking who signed it.

    This is the agent's side: it trusts the operator by TLS and checks only that it is meant.

    Raises:
        ChallengeMalformed: The bytes are no challenge, or too many.
    """
    if not SIGNATURE_SIZE < len(data) <= MAX_SIZE:
        raise ChallengeMalformed(
            "a challenge has an impossible size",
            expected=f"{SIGNATURE_SIZE + 1} to {MAX_SIZE} bytes",
            observed=f"{len(data)} bytes",
        )
    try:
        challenge = msgspec.json.decode(data[:-SIGNATURE_SIZE], type=Challenge)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ChallengeMalformed("a challenge cannot be decoded") from error
    if len(challenge.nonce) != NONCE_SIZE or challenge.issued_time.tzinfo is None:
        raise ChallengeMalformed("a challenge lacks a full nonce or a time zone")
    return challenge


def open_signed(data: bytes, keys: PublicKeys) -> Challenge:
    """Return what a challenge of ours says. Its life and subject are yet to be checked.

    Raises:
        ChallengeMalformed: The bytes are no challenge, or too many.
        ChallengeForged: None of the keys signed it.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above

    challenge = read(data)
    key = keys.get(challenge.key_id)
    if key is None:
        raise ChallengeForged("a challenge names a key that is not this cluster's")
    try:
        key.verify(data[-SIGNATURE_SIZE:], DOMAIN + data[:-SIGNATURE_SIZE])
    except InvalidSignature as error:
        raise ChallengeForged("a challenge was not signed by the key it names") from error
    return challenge


def check_life(challenge: Challenge, now: datetime) -> None:
    """Check that the answer still counts.

    Raises:
        ChallengeExpired: It came later than ``LIFE`` after the challenge, or before it.
    """
    age = now - challenge.issued_time
    if not -CLOCK_SKEW <= age <= LIFE:
        raise ChallengeExpired(
            "the challenge is out of its time",
            expected=f"an answer within {LIFE.total_seconds():.0f} s",
            observed=f"{age.total_seconds():.0f} s",
        )


def check_subject(challenge: Challenge, subject: Subject) -> None:
    """Check that the answer comes from whom the challenge was given to.

    Raises:
        IdentityMismatch: Some part of the subject differs.
    """
    asked, answering = challenge.subject, subject
    for name in ("cluster_uid", "node_name", "node_uid", "pod_uid"):
        expected, observed = getattr(asked, name), getattr(answering, name)
        if expected != observed:
            raise IdentityMismatch(
                f"the challenge was given to another {name.replace('_', ' ')}",
                expected=expected,
                observed=observed,
            )
    if not compare_digest(asked.token_digest, answering.token_digest):
        raise IdentityMismatch("the challenge was given to the holder of another token")
