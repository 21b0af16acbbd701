"""The keyring that all replicas share: one Secret, written only if nobody else wrote first.

The Secret alone is trusted. The ConfigMap of the same name is a publication, for auditors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nodeproof.challenge import Challenge, PublicKeys, open_signed, read
from nodeproof.errors import NodeproofError, Overloaded
from nodeproof_operator.cluster.errors import ApiError
from nodeproof_operator.cluster.objects import CHALLENGE_KEYS
from nodeproof_operator.cluster.secrets import SealedStore, until_first
from nodeproof_operator.intake.admission import Monotonic
from nodeproof_operator.intake.errors import API_RETRY_SECONDS
from nodeproof_operator.intake.keys import (
    ChallengeKey,
    SigningKey,
    check_usable,
    maintain,
    public_keys,
    signing_key,
)

RELOAD_SECONDS = 10.0
"""The least time between two readings for the sake of unknown key IDs, which anyone can send."""

ENTRY: Final = "keyring.json"
"""The one entry of the Secret."""

_log = structlog.get_logger()


class KeyringUnreadable(NodeproofError):
    """A Secret whose content is no keyring; it is left alone, an admin may empty it."""


class Keyring:
    """The challenge keys in force."""

    def __init__(
        self, store: SealedStore, clock: Callable[[], datetime], monotonic: Monotonic
    ) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._keys: tuple[ChallengeKey, ...] = ()
        self._public: PublicKeys = {}
        self._reloaded = float("-inf")

    @property
    def ready(self) -> bool:
        """Whether the keys have been read."""
        return bool(self._keys)

    def signing_key(self) -> SigningKey:
        """Return the key to sign with now.

        Raises:
            Overloaded: The keys have not been read yet.
        """
        if not self._keys:
            raise _unready()
        return signing_key(self._keys, self._clock())

    def public_keys(self) -> PublicKeys:
        """Return the keys that our challenges may be signed with; none before the first reading."""
        return self._public

    async def open(self, data: bytes) -> Challenge:
        """Return what a challenge of ours says; a key made by another replica is looked up.

        Raises:
            ChallengeMalformed: The bytes are no challenge.
            ChallengeForged: None of our keys signed it.
            Overloaded: The keys have not been read yet, or not again for this one.
        """
        if read(data).key_id not in self._public:
            await self._reload()
        if not self._keys:
            raise _unready()
        return open_signed(data, self._public)

    async def refresh(self) -> None:
        """Read the keyring; make, rotate and forget keys that are due; publish the public halves.

        Raises:
            ApiError: The Secret cannot be read or written; the keys known so far stay in use.
            KeyringUnreadable: The Secret holds something else.
        """
        await until_first(self._refresh_once)

    async def _refresh_once(self) -> None:
        data, precondition = await self._store.read(CHALLENGE_KEYS)
        keys = _decode(data)
        due = maintain(keys, self._clock())
        if due != keys:
            await self._store.fill(CHALLENGE_KEYS, {ENTRY: msgspec.json.encode(due)}, precondition)
            _log.info("challenge keys changed", keys=[key.id for key in due])
        self._take(due)
        await self._publish()

    def _take(self, keys: tuple[ChallengeKey, ...]) -> None:
        if keys != self._keys:
            self._keys, self._public = keys, public_keys(keys)

    async def _reload(self) -> None:
        now = self._monotonic()
        if now - self._reloaded < RELOAD_SECONDS:
            return
        self._reloaded = now
        try:
            await self.refresh()
        except (ApiError, KeyringUnreadable) as error:
            raise Overloaded(
                "the challenge's key cannot be looked up", retry_after_seconds=API_RETRY_SECONDS
            ) from error

    async def _publish(self) -> None:
        try:
            await self._store.publish(CHALLENGE_KEYS, _publication(self._keys))
        except ApiError as error:
            # Nothing rests on it, and the next refresh tries again.
            _log.warning("challenge keys cannot be published", reason=error.reason)


def _decode(data: Mapping[str, bytes]) -> tuple[ChallengeKey, ...]:
    if ENTRY not in data:
        return ()
    try:
        keys = msgspec.json.decode(data[ENTRY], type=tuple[ChallengeKey, ...])
        check_usable(keys)
    except (msgspec.MsgspecError, ValueError):
        # Without the cause: it may quote a key.
        raise KeyringUnreadable(f"the Secret {CHALLENGE_KEYS} holds no keyring") from None
    return keys


def _publication(keys: Sequence[ChallengeKey]) -> Mapping[str, str]:
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {f"{key.id}.pem": key.verifier().public_bytes(*form).decode() for key in keys}


def _unready() -> Overloaded:
    return Overloaded(
        "the challenge keys have not been read yet", retry_after_seconds=API_RETRY_SECONDS
    )
