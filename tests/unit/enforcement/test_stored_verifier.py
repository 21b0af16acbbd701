from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from fakes.endorsing import FakeEndorsements
from fakes.enforcement import (
    CLUSTER_UID,
    LIST_LIFE,
    NODE,
    NODE_UID,
    NOW,
    RECORD_UID,
    Keys,
    evidence,
    node,
    record,
)
from fakes.simulated import authority, impostor
from nodeproof.errors import IdentityMismatch, RootUntrusted, SignerRevoked
from nodeproof.evidence import Holder, VerifiedEvidence
from nodeproof.policy import SignerKind
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof_operator.enforcement.errors import ChallengeKeyUnknown
from nodeproof_operator.enforcement.verification import StoredVerifier

HOLDER = Holder(CLUSTER_UID, NODE, NODE_UID, RECORD_UID)


class CountingExecutor(ThreadPoolExecutor):
    """Counts what really had to be verified."""

    count = 0

    def submit(self, *arguments: Any, **options: Any) -> Any:
        self.count += 1
        return super().submit(*arguments, **options)


@pytest.fixture
def executor() -> Iterator[CountingExecutor]:
    with CountingExecutor(1) as executor:
        yield executor


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def known() -> FakeEndorsements:
    return FakeEndorsements()


def verifier_of(
    keys: Keys,
    known: FakeEndorsements,
    executor: Executor,
    *,
    anchor: TrustAnchor | None = None,
    clock: Callable[[], datetime] = lambda: NOW,
) -> StoredVerifier:
    anchors = [anchor or authority().anchor()]
    return StoredVerifier(CLUSTER_UID, keys, anchors, known, executor=executor, clock=clock)


@pytest.fixture
def verifier(keys: Keys, known: FakeEndorsements, executor: Executor) -> StoredVerifier:
    return verifier_of(keys, known, executor)


async def test_genuine_evidence_is_proved(verifier: StoredVerifier) -> None:
    proved = await verifier.verify(evidence(), HOLDER)
    assert proved.claims.signer is SignerKind.SIMULATED


async def test_same_evidence_is_verified_once(
    verifier: StoredVerifier, executor: CountingExecutor
) -> None:
    stored = evidence()
    assert await verifier.verify(stored, HOLDER) is await verifier.verify(stored, HOLDER)
    assert executor.count == 1


async def test_new_evidence_is_verified_anew(
    verifier: StoredVerifier, executor: CountingExecutor
) -> None:
    await verifier.verify(evidence(), HOLDER)
    await verifier.verify(evidence(sequence=2), HOLDER)
    assert executor.count == 2


async def test_outcome_for_one_holder_does_not_count_for_another(
    verifier: StoredVerifier,
) -> None:
    stored = evidence()
    await verifier.verify(stored, HOLDER)
    with pytest.raises(IdentityMismatch):
        await verifier.verify(stored, Holder(CLUSTER_UID, NODE, NODE_UID, "another record"))


async def test_failure_is_remembered_and_collects_no_tracebacks(
    keys: Keys, known: FakeEndorsements, executor: CountingExecutor
) -> None:
    verifier = verifier_of(keys, known, executor, anchor=impostor().anchor())
    stored, depths = evidence(), []
    for _ in range(3):
        with pytest.raises(RootUntrusted) as caught:
            await verifier.verify(stored, HOLDER)
        depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert executor.count == 1
    assert len(set(depths)) == 1


async def test_key_that_is_gone_ends_what_it_signed(verifier: StoredVerifier, keys: Keys) -> None:
    stored = evidence()
    await verifier.verify(stored, HOLDER)
    keys.known = {}
    with pytest.raises(ChallengeKeyUnknown):
        await verifier.verify(stored, HOLDER)


async def test_unknown_key_is_looked_up_every_time(verifier: StoredVerifier, keys: Keys) -> None:
    stored, known = evidence(), keys.known
    keys.known = {}
    with pytest.raises(ChallengeKeyUnknown):
        await verifier.verify(stored, HOLDER)
    assert keys.opened == 1
    keys.known = known
    await verifier.verify(stored, HOLDER)


async def test_node_without_evidence_has_no_proof(verifier: StoredVerifier) -> None:
    assert await verifier.prove(node(), None) is None
    assert await verifier.prove(node(), record()) is None


async def test_proof_is_for_the_live_node(verifier: StoredVerifier) -> None:
    kept = record(evidence=evidence())
    assert isinstance(await verifier.prove(node(), kept), VerifiedEvidence)
    assert isinstance(await verifier.prove(node(uid="later"), kept), IdentityMismatch)


DAY = timedelta(days=1)


async def test_same_evidence_is_verified_once_more_when_the_lists_change(
    verifier: StoredVerifier, known: FakeEndorsements, executor: CountingExecutor
) -> None:
    stored = evidence()
    for _ in range(2):
        await verifier.verify(stored, HOLDER)
        await verifier.verify(stored, HOLDER)
        known.learn()
    assert executor.count == 2


async def test_a_signer_that_is_revoked_later_ends_what_it_signed(
    verifier: StoredVerifier, known: FakeEndorsements
) -> None:
    stored = evidence()
    await verifier.verify(stored, HOLDER)
    intermediate = load_certificates(stored.certificates[1:2])[0]
    known.learn(authority().issue_crl(NOW, [intermediate.serial]))
    with pytest.raises(SignerRevoked):
        await verifier.verify(stored, HOLDER)


async def test_evidence_is_held_against_a_list_made_after_it(
    verifier: StoredVerifier, known: FakeEndorsements
) -> None:
    known.learn(authority().issue_crl(NOW + DAY))  # dated a day back: now
    proved = await verifier.verify(evidence(issued=NOW - timedelta(seconds=60)), HOLDER)
    assert proved.claims.crl is not None
    assert proved.claims.crl.this_update == NOW


async def test_where_one_list_has_ended_another_counts(
    keys: Keys, known: FakeEndorsements, executor: CountingExecutor
) -> None:
    now = [NOW]
    verifier = verifier_of(keys, known, executor, clock=lambda: now[0])
    stored = evidence()
    known.learn(authority().issue_crl(NOW + DAY))
    await verifier.verify(stored, HOLDER)
    now[0] += LIST_LIFE + timedelta(seconds=1)
    for _ in range(3):
        assert (await verifier.verify(stored, HOLDER)).claims.crl is None
    assert executor.count == 2


async def test_what_was_proved_is_noted_once(
    verifier: StoredVerifier, known: FakeEndorsements
) -> None:
    stored = evidence()
    await verifier.verify(stored, HOLDER)
    await verifier.verify(stored, HOLDER)
    assert len(known.noted) == 1
