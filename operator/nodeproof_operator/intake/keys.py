"""Challenge keys and their lives: made, used, retired, forgotten. Pure decisions, no I/O.

A new key is stored for a while before it signs, so that every replica knows it by then. A retired
key's private half is destroyed at once; its public half stays for as long as any stored evidence
may still rest on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from nodeproof.challenge import PublicKeys, key_id

ROTATION = timedelta(hours=24)
"""How long after a key the next one is made."""

HANDOVER = timedelta(minutes=5)
"""From a key's making to its first signature; replicas read the Secret far more often."""

RETIREMENT = timedelta(hours=48)
"""How long retired public keys are kept: evidence lives for at most 24 hours."""


@dataclass(frozen=True, slots=True)
class ChallengeKey:
    """One Ed25519 key as the Secret holds it, in raw form (RFC 8032): 32 bytes each half.

    Attributes:
        private_key: Empty once the key has retired.
        retired_time: From when on its successor signs; None while there is none.
    """

    public_key: bytes
    created_time: datetime
    private_key: bytes = field(default=b"", repr=False)
    retired_time: datetime | None = None

    @property
    def id(self) -> str:
        """The key's name in challenges."""
        return key_id(self.verifier())

    def verifier(self) -> Ed25519PublicKey:
        """Return the public half."""
        return Ed25519PublicKey.from_public_bytes(self.public_key)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that challenges are signed with now."""

    id: str
    private_key: Ed25519PrivateKey = field(repr=False)


def make_key(now: datetime) -> ChallengeKey:
    """Return a new key."""
    private = Ed25519PrivateKey.generate()
    return ChallengeKey(
        public_key=private.public_key().public_bytes_raw(),
        created_time=now,
        private_key=private.private_bytes_raw(),
    )


def maintain(keys: Sequence[ChallengeKey], now: datetime) -> tuple[ChallengeKey, ...]:
    """Return the keys as they should be now, oldest first; unchanged if nothing is due."""
    if not keys:
        return (make_key(now),)
    if now - keys[-1].created_time >= ROTATION:
        last = replace(keys[-1], retired_time=now + HANDOVER)
        keys = (*keys[:-1], last, make_key(now))
    return tuple(_without_secret(key, now) for key in keys if not _forgotten(key, now))


def signing_key(keys: Sequence[ChallengeKey], now: datetime) -> SigningKey:
    """Return the key that signs now: the oldest that has not retired.

    Its private half may be gone already, if the replica that removed it has a faster clock.
    """
    current = next(key for key in keys if key.private_key and not _retired(key, now))
    return SigningKey(current.id, Ed25519PrivateKey.from_private_bytes(current.private_key))


def public_keys(keys: Sequence[ChallengeKey]) -> PublicKeys:
    """Return all public halves by key ID."""
    return {key.id: key.verifier() for key in keys}


def check_usable(keys: Sequence[ChallengeKey]) -> None:
    """Check keys that were read: all have their size and form, and the newest can sign.

    Raises:
        ValueError: They are not what ``maintain`` makes.
    """
    for key in keys:
        _check_halves(key)
        if any(each and each.tzinfo is None for each in (key.created_time, key.retired_time)):
            raise ValueError("a key's times have no zone")
    if not keys or not keys[-1].private_key or keys[-1].retired_time is not None:
        raise ValueError("no key can sign")


def _check_halves(key: ChallengeKey) -> None:
    public = key.verifier()
    if key.private_key:
        private = Ed25519PrivateKey.from_private_bytes(key.private_key)
        if private.public_key() != public:
            raise ValueError("the halves of a key do not belong together")


def _retired(key: ChallengeKey, now: datetime) -> bool:
    return key.retired_time is not None and key.retired_time <= now


def _forgotten(key: ChallengeKey, now: datetime) -> bool:
    return key.retired_time is not None and key.retired_time + RETIREMENT <= now


def _without_secret(key: ChallengeKey, now: datetime) -> ChallengeKey:
    if _retired(key, now) and key.private_key:
        return replace(key, private_key=b"")
    return key
