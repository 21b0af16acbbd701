"""A leader over real evidence, a real verifier and an API server in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fakes.enforcement import (
    BAD_MEASUREMENT,
    GATE,
    NODE,
    NOW,
    POLICY,
    Leader,
    condition_of,
    effects_of,
    evidence,
    labels_of,
    put_node,
    put_policy,
    put_record,
    result_of,
)
from fakes.fake_api import FakeApi
from fakes.simulated import machine
from nodeproof.result import Condition, LastRefusal, Status, StoredEvidence
from nodeproof_operator.cluster import objects
from nodeproof_operator.cluster.errors import Conflict, Unreachable


def bad_evidence(**changes: Any) -> StoredEvidence:
    """Return genuine evidence of a launch that no reference value knows."""
    return evidence(machine(measurement=BAD_MEASUREMENT), **changes)


async def attest(api: FakeApi, leader: Leader, of: StoredEvidence | None = None) -> None:
    put_record(api, evidence=of or evidence(issued=leader.now))
    await leader.reconcile()


async def test_good_node_is_labelled_and_its_result_is_written(
    api: FakeApi, leader: Leader
) -> None:
    await attest(api, leader)
    assert labels_of(api) == {GATE}
    assert condition_of(api) == ("True", "Attested")
    assert condition_of(api, "EvidenceVerified") == ("True", "Verified")


async def test_result_is_written_before_the_label(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader)
    assert [each.path.rsplit("/", 2)[1] for each in api.sent("PATCH")] == [NODE, "nodes"]


async def test_label_goes_before_the_result_is_written(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader)
    api.fail_next(Unreachable("no answer", status=0), path=objects.NODE_ATTESTATIONS)
    put_record(api, evidence=bad_evidence())
    with pytest.raises(Unreachable):
        await leader.reconcile()
    assert labels_of(api) == set()
    assert effects_of(api) == ["NoExecute"]


async def test_second_look_writes_nothing(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader)
    before = len(api.requests)
    await leader.reconcile()
    assert len(api.requests) == before


async def test_heartbeat_of_the_node_writes_nothing(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader)
    before = len(api.requests)
    api.put(objects.node(NODE), api.read(objects.node(NODE)))
    await leader.reconcile()
    assert len(api.requests) == before


async def test_selected_node_without_record_gets_one(api: FakeApi, leader: Leader) -> None:
    await leader.reconcile()
    assert condition_of(api) == ("Unknown", "NoEvidence")
    assert effects_of(api) == ["NoSchedule"]


async def test_node_of_no_policy_is_left_exactly_as_found(api: FakeApi, leader: Leader) -> None:
    put_policy(api, nodeSelector={"matchLabels": {"pool": "elsewhere"}})
    await leader.reconcile()
    assert api.requests == []


async def test_node_that_turns_bad_and_good_again(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader)
    await attest(api, leader, bad_evidence(sequence=2))
    assert (labels_of(api), effects_of(api)) == (set(), ["NoExecute"])
    await attest(api, leader, evidence(sequence=3))
    assert (labels_of(api), effects_of(api)) == ({GATE}, [])


async def test_expired_result_closes_the_node_and_then_evicts(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader)
    leader.pass_by(seconds=900)
    assert await leader.reconcile() == 300
    assert (labels_of(api), effects_of(api)) == (set(), ["NoSchedule"])
    leader.pass_by(seconds=300)
    assert await leader.reconcile() is None
    assert effects_of(api) == ["NoExecute"]


async def test_reconcile_says_when_the_result_expires(api: FakeApi, leader: Leader) -> None:
    put_record(api, evidence=evidence(issued=NOW - timedelta(seconds=100)))
    assert await leader.reconcile() == 800


@pytest.mark.parametrize(
    ("pasted", "reason"),
    [
        (lambda: evidence(node_name="node-2"), "IdentityMismatch"),
        (lambda: evidence(node_uid="earlier"), "IdentityMismatch"),
        (lambda: evidence(cluster_uid="another"), "IdentityMismatch"),
        (lambda: evidence(key=Ed25519PrivateKey.generate()), "NoEvidence"),
        (lambda: StoredEvidence(1, b"x" * 100, "", bytes(1184), ()), "NotGenuine"),
    ],
    ids=["other node", "earlier node", "other cluster", "other cluster's key", "garbage"],
)
async def test_evidence_that_somebody_pasted_closes_the_node(
    api: FakeApi, leader: Leader, pasted: Callable[[], StoredEvidence], reason: str
) -> None:
    await attest(api, leader)
    await attest(api, leader, pasted())
    assert labels_of(api) == set()
    assert condition_of(api)[1] == reason


async def test_older_evidence_that_somebody_put_back_opens_nothing(
    api: FakeApi, leader: Leader
) -> None:
    earlier = evidence(issued=NOW - timedelta(seconds=60))
    await attest(api, leader, earlier)
    await attest(api, leader, bad_evidence(sequence=2))
    await attest(api, leader, earlier)
    assert (labels_of(api), effects_of(api)) == (set(), ["NoExecute"])
    assert condition_of(api) == ("Unknown", "NoEvidence")


async def test_evidence_that_was_taken_out_and_put_back_opens_nothing(
    api: FakeApi, leader: Leader
) -> None:
    earlier = evidence(issued=NOW - timedelta(seconds=60))
    await attest(api, leader, bad_evidence(sequence=2))
    put_record(api)
    await leader.reconcile()
    await attest(api, leader, earlier)
    assert labels_of(api) == set()


async def test_node_whose_evidence_was_put_back_recovers_by_a_new_one(
    api: FakeApi, leader: Leader
) -> None:
    await attest(api, leader, evidence(sequence=2))
    await attest(api, leader, evidence(issued=NOW - timedelta(seconds=60)))
    leader.pass_by(seconds=300)
    await attest(api, leader, evidence(sequence=2, issued=leader.now))
    assert labels_of(api) == {GATE}


async def test_refusals_that_somebody_took_out_still_count(api: FakeApi, leader: Leader) -> None:
    refusal = LastRefusal(NOW, "SignatureInvalid", "no", consecutive=2)
    stored = evidence()
    put_record(api, evidence=stored, last_refusal=refusal)
    await leader.reconcile()
    await attest(api, leader, stored)
    assert (labels_of(api), effects_of(api)) == (set(), ["NoExecute"])
    assert condition_of(api) == ("False", "NotGenuine")


async def test_newer_evidence_ends_refusals(api: FakeApi, leader: Leader) -> None:
    refusal = LastRefusal(NOW, "SignatureInvalid", "no", consecutive=2)
    put_record(api, evidence=evidence(), last_refusal=refusal)
    await leader.reconcile()
    await attest(api, leader, evidence(sequence=2))
    assert labels_of(api) == {GATE}


async def test_forged_result_without_evidence_gives_nothing(api: FakeApi, leader: Leader) -> None:
    put_record(
        api,
        conditions=(Condition("Attested", Status.TRUE, "Attested", "trust me", NOW),),
        policies=(result_of(),),
        signer="VCEK",
        expiration_time=NOW + timedelta(days=365),
    )
    await leader.reconcile()
    assert labels_of(api) == set()
    assert condition_of(api) == ("Unknown", "NoEvidence")


async def test_record_of_an_earlier_node_is_replaced_and_nothing_inherited(
    api: FakeApi, leader: Leader
) -> None:
    await attest(api, leader)
    api.remove(objects.node(NODE))
    api.put(objects.node(NODE), {"metadata": {"uid": "node-uid-2"}, "spec": {}})
    await leader.reconcile()
    assert labels_of(api) == set()
    assert condition_of(api) == ("Unknown", "NoEvidence")
    assert api.read(objects.node_attestation(NODE))["spec"]["nodeUID"] == "node-uid-2"


async def test_label_of_a_dying_node_is_removed_whatever_its_evidence(
    api: FakeApi, leader: Leader
) -> None:
    await attest(api, leader)
    body = api.read(objects.node(NODE))
    body["metadata"]["deletionTimestamp"] = "2026-03-02T12:00:00Z"
    api.put(objects.node(NODE), body)
    await leader.reconcile()
    assert labels_of(api) == set()


async def test_deleted_policy_cleans_label_and_taint_of_its_nodes(
    api: FakeApi, leader: Leader
) -> None:
    await attest(api, leader, bad_evidence())
    api.remove(f"{objects.POLICIES}/{POLICY}")
    await leader.reconcile()
    assert effects_of(api) == []
    assert condition_of(api) == ("Unknown", "NotSelected")


async def test_cleaning_is_tried_again_until_it_is_done(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader, bad_evidence())
    api.remove(f"{objects.POLICIES}/{POLICY}")
    api.fail_next(Unreachable("no answer", status=0), path=objects.NODES)
    with pytest.raises(Unreachable):
        await leader.reconcile()
    await leader.reconcile()
    assert effects_of(api) == []


async def test_node_that_leaves_the_selector_stays_tainted_until_its_record_is_deleted(
    api: FakeApi, leader: Leader
) -> None:
    put_node(api, labels={"pool": "confidential"})
    put_policy(api, nodeSelector={"matchLabels": {"pool": "confidential"}})
    await attest(api, leader, bad_evidence())
    body = api.read(objects.node(NODE))
    body["metadata"]["labels"] = {"pool": "none"}
    api.put(objects.node(NODE), body)
    await leader.reconcile()
    assert condition_of(api) == ("Unknown", "SelectorLeft")
    assert effects_of(api) == ["NoExecute"]
    api.remove(objects.node_attestation(NODE))
    await leader.reconcile()
    assert effects_of(api) == []


async def test_mixed_change_removes_one_label_and_sets_the_other(
    api: FakeApi, leader: Leader
) -> None:
    await attest(api, leader)
    body = api.read(f"{objects.POLICIES}/{POLICY}")
    api.remove(f"{objects.POLICIES}/{POLICY}")
    api.put(f"{objects.POLICIES}/other", {"spec": body["spec"]})
    await leader.reconcile()
    assert labels_of(api) == {objects.GATE_PREFIX + "other"}
    assert leader.writes == [("raise", "done"), ("lower", "done"), ("raise", "done")]


async def test_old_leader_cannot_raise_on_what_it_saw_before(api: FakeApi, leader: Leader) -> None:
    put_record(api, evidence=evidence())
    leader.stop_watching()
    put_record(api, evidence=bad_evidence(sequence=2))
    with pytest.raises(Conflict):
        await leader.reconcile()
    assert labels_of(api) == set()


async def test_two_leaders_end_at_what_the_evidence_says(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader)
    second = Leader(api)
    put_record(api, evidence=bad_evidence(sequence=2))
    await second.reconcile()
    await leader.reconcile()
    assert (labels_of(api), effects_of(api)) == (set(), ["NoExecute"])
    second.close()


async def test_pass_that_was_seen_stands_while_values_are_missing(
    api: FakeApi, leader: Leader
) -> None:
    await attest(api, leader)
    api.remove(f"{objects.REFERENCE_VALUE_SETS}/values")
    await attest(api, leader, bad_evidence(sequence=2, issued=NOW + timedelta(seconds=4)))
    assert (labels_of(api), effects_of(api)) == ({GATE}, ["NoSchedule"])
    leader.pass_by(seconds=900)
    await leader.reconcile()
    assert (labels_of(api), effects_of(api)) == (set(), ["NoSchedule"])


@pytest.mark.parametrize("stated", ["", "the other"])
async def test_pass_of_one_launch_does_not_stand_for_another(
    api: FakeApi, leader: Leader, stated: str
) -> None:
    await attest(api, leader)
    api.remove(f"{objects.REFERENCE_VALUE_SETS}/values")
    relaunched = machine(seed=1, measurement=BAD_MEASUREMENT)
    put_node(api, labels={GATE: "true"}, boot_id=stated and relaunched.boot_id)
    await attest(api, leader, evidence(relaunched, sequence=2))
    assert labels_of(api) == set()


async def test_missing_values_close_a_node_whose_pass_this_process_never_saw(
    api: FakeApi, leader: Leader
) -> None:
    await attest(api, leader)
    api.remove(f"{objects.REFERENCE_VALUE_SETS}/values")
    successor = Leader(api)
    await successor.reconcile()
    assert labels_of(api) == set()
    successor.close()


async def test_change_is_announced_once(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader)
    await leader.reconcile()
    await attest(api, leader, bad_evidence(sequence=2))
    assert leader.announced == ["Attested", "CheckFailed"]


async def test_node_that_is_gone_is_forgotten(api: FakeApi, leader: Leader) -> None:
    await attest(api, leader)
    api.remove(objects.node(NODE))
    assert await leader.reconcile() is None
    assert list(leader.board) == []
