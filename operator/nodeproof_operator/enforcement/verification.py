"""Stored evidence verified again before it counts, and remembered by Node.

Nothing is read back from a status as true: whoever can write a status would otherwise write
results. Verifying takes half a millisecond; what was verified before is known by its digest, and
verified once more when AMD's revocation lists change.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nodeproof.challenge import Challenge, PublicKeys, read
from nodeproof.errors import (
    ChallengeError,
    ChallengeForged,
    NodeproofError,
    VerificationError,
)
from nodeproof.evidence import Holder, VerifiedEvidence, verify_stored
from nodeproof.result import StoredEvidence
from nodeproof.sevsnp.crl import Revocation
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.verify import VerifiedReport
from nodeproof_operator.cluster.views import NodeView, Record
from nodeproof_operator.enforcement.errors import ChallengeKeyUnknown
from nodeproof_operator.enforcement.finding import Proof

CAPACITY = 8192
"""Nodes whose outcome is remembered, about 8 KiB each: more than one cluster holds."""


class Keys(Protocol):
    """The challenge keys in force (``intake.challenges.Keyring``)."""

    def public_keys(self) -> PublicKeys:
        """Return the keys known now."""
        ...

    async def open(self, data: bytes) -> Challenge:
        """Open a challenge, reading the keys anew if its own is not among them."""
        ...


class Lists(Protocol):
    """AMD's revocation lists (``endorsements.source.Endorsements``)."""

    @property
    def revision(self) -> int:
        """Grows whenever ``crls`` returns something else than before."""
        ...

    def crls(self) -> tuple[bytes, ...]:
        """Return the lists that are known now."""
        ...

    def note(self, claims: VerifiedReport) -> None:
        """Learn what the fleet runs on, to keep its lists current."""
        ...


_Outcome = VerifiedEvidence | NodeproofError


@dataclass(frozen=True, slots=True)
class _Remembered:
    """An outcome, and what it is the outcome of."""

    digest: str
    revision: int
    outcome: _Outcome

    def holds(self, digest: str, revision: int, now: datetime) -> bool:
        """Whether verifying again could come to nothing else."""
        if (self.digest, self.revision) != (digest, revision):
            return False
        outcome = self.outcome
        crl = outcome.claims.crl if isinstance(outcome, VerifiedEvidence) else None
        # Where the list has ended that vouched for the signer, another may still be in force.
        return crl is None or crl.next_update is None or now <= crl.next_update


class StoredVerifier:
    """Verifies evidence from NodeAttestations.

    Args:
        cluster_uid: This cluster, as challenges name it.
        keys: Where the challenge keys come from.
        anchors: The pinned roots, simulated ones included if they are allowed.
        lists: AMD's revocation lists.
        executor: Threads for signatures, so that the event loop does not wait for them.
        clock: The time, with its zone.
    """

    def __init__(
        self,
        cluster_uid: str,
        keys: Keys,
        anchors: Sequence[TrustAnchor],
        lists: Lists,
        *,
        executor: Executor,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster_uid = cluster_uid
        self._keys = keys
        self._anchors = tuple(anchors)
        self._lists = lists
        self._executor = executor
        self._clock = clock
        self._known: OrderedDict[Holder, _Remembered] = OrderedDict()

    async def prove(self, node: NodeView, record: Record | None) -> Proof:
        """Return what the evidence in a Node's record proves about this Node, or why it does not.

        Raises:
            Overloaded: The keys have not been read yet: nothing is said about the evidence.
        """
        if record is None or record.status.evidence is None:
            return None
        holder = Holder(self._cluster_uid, node.name, node.uid, record.uid)
        try:
            return await self.verify(record.status.evidence, holder)
        except (ChallengeError, VerificationError) as error:
            return error

    async def verify(self, evidence: StoredEvidence, holder: Holder) -> VerifiedEvidence:
        """Return what the evidence proves about its holder.

        Raises:
            ChallengeKeyUnknown: No key in force signed the challenge; asked anew every time.
            ChallengeError: The challenge is not ours, or not for this holder.
            VerificationError: The report is not genuine or answers something else.
            Overloaded: The keys have not been read yet: nothing is said about the evidence.
        """
        keys = await self._keys_for(evidence)
        outcome = self._recall(evidence, holder)
        if outcome is None:
            outcome = await self._verify_anew(evidence, holder, keys)
        if isinstance(outcome, NodeproofError):
            # The same error may be raised many times: it must not collect tracebacks.
            raise outcome.with_traceback(None)
        return outcome

    async def _verify_anew(
        self, evidence: StoredEvidence, holder: Holder, keys: PublicKeys
    ) -> _Outcome:
        revision = self._lists.revision
        revocation = Revocation(self._lists.crls(), in_force_at=self._clock())
        outcome = await asyncio.get_running_loop().run_in_executor(
            self._executor, self._try, evidence, holder, keys, revocation
        )
        self._remember(holder, _Remembered(evidence.digest(), revision, outcome))
        if isinstance(outcome, VerifiedEvidence):
            self._lists.note(outcome.claims)
        return outcome

    async def _keys_for(self, evidence: StoredEvidence) -> PublicKeys:
        key_id = read(evidence.challenge).key_id
        if key_id not in self._keys.public_keys():
            with suppress(ChallengeForged):
                await self._keys.open(evidence.challenge)
        keys = self._keys.public_keys()
        if key_id not in keys:
            raise ChallengeKeyUnknown(
                "its challenge was signed by a key that this cluster does not hold, or no longer"
            )
        return keys

    def _try(
        self, evidence: StoredEvidence, holder: Holder, keys: PublicKeys, revocation: Revocation
    ) -> _Outcome:
        try:
            return verify_stored(evidence, holder, keys, self._anchors, revocation)
        except NodeproofError as error:
            return error

    def _recall(self, evidence: StoredEvidence, holder: Holder) -> _Outcome | None:
        known = self._known.get(holder)
        if known is None or not known.holds(evidence.digest(), self._lists.revision, self._clock()):
            return None
        self._known.move_to_end(holder)
        return known.outcome

    def _remember(self, holder: Holder, remembered: _Remembered) -> None:
        self._known[holder] = remembered
        self._known.move_to_end(holder)
        if len(self._known) > CAPACITY:
            self._known.popitem(last=False)
