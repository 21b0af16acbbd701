from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from fakes.fake_api import FakeApi, Request
from nodeproof.errors import Overloaded
from nodeproof.result import (
    AttestationPolicyStatus,
    Condition,
    Deferral,
    LastRefusal,
    Outcome,
    PolicyResult,
    Reason,
    Status,
    StoredEvidence,
    Unavailable,
)
from nodeproof_operator.cluster.errors import Conflict, NotFound, Unreachable
from nodeproof_operator.cluster.objects import node, node_attestation, policy
from nodeproof_operator.cluster.records import Records

PATH = node_attestation("node-1")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
EVIDENCE = StoredEvidence(
    sequence=3, challenge=b"c", boot_id="boot", report=b"r", certificates=(b"1", b"2")
)

DEFERRAL = Deferral(NOW, "EndorsementsUnavailable", "waiting", expected="a VCEK")
UNAVAILABLE = Unavailable(NOW, "KeyDisabled", "no key")


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def records(api: FakeApi) -> Records:
    return Records(api)


async def test_makes_a_record_that_its_node_owns(api: FakeApi, records: Records) -> None:
    record = await records.ensure("node-1", "uid-1")
    stored = api.read(PATH)
    assert record.node_uid == "uid-1"
    assert stored["spec"] == {"nodeName": "node-1", "nodeUID": "uid-1"}
    assert stored["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "uid-1"}
    ]


async def test_returns_the_record_that_exists(api: FakeApi, records: Records) -> None:
    first = await records.ensure("node-1", "uid-1")
    assert await records.ensure("node-1", "uid-1") == first
    assert len(api.sent("POST")) == 1


async def test_lets_a_new_node_inherit_nothing(records: Records) -> None:
    old = await records.write_evidence(await records.ensure("node-1", "uid-1"), EVIDENCE)
    new = await records.ensure("node-1", "uid-2")
    assert (new.node_uid, new.status.evidence) == ("uid-2", None)
    assert new.uid != old.uid


async def test_spares_the_record_of_a_newer_node(api: FakeApi, records: Records) -> None:
    api.put(node("node-1"), {"metadata": {"uid": "uid-2"}})
    newer = await records.ensure("node-1", "uid-2")
    with pytest.raises(Overloaded):
        await records.ensure("node-1", "uid-1")
    assert await records.read("node-1") == newer


async def test_deletes_only_the_record_that_it_has_read(api: FakeApi, records: Records) -> None:
    old = await records.ensure("node-1", "uid-1")
    await records.ensure("node-1", "uid-2")
    (request,) = api.sent("DELETE")
    assert request.body == {"preconditions": {"uid": old.uid}}


async def test_takes_the_record_that_another_replica_made_first(
    api: FakeApi, records: Records
) -> None:
    async def make_it_first(request: Request) -> None:
        if request.method == "POST" and PATH not in api.objects:
            api.put(PATH, {"spec": {"nodeName": "node-1", "nodeUID": "uid-1"}})

    api.before = make_it_first
    assert (await records.ensure("node-1", "uid-1")).node_uid == "uid-1"


async def test_asks_for_patience_while_the_old_record_is_ending(
    api: FakeApi, records: Records
) -> None:
    metadata = {"finalizers": ["example.com/hold"]}
    api.put(PATH, {"metadata": metadata, "spec": {"nodeUID": "uid-1"}})
    with pytest.raises(Overloaded):
        await records.ensure("node-1", "uid-2")


async def test_asks_for_patience_while_others_make_and_delete_it(
    api: FakeApi, records: Records
) -> None:
    async def take_the_name(request: Request) -> None:
        if request.method == "POST":
            raise Conflict("already exists", status=409)

    api.before = take_the_name
    with pytest.raises(Overloaded) as caught:
        await records.ensure("node-1", "uid-1")
    assert caught.value.retry_after_seconds == 1


async def test_lets_trouble_with_the_api_server_through(api: FakeApi, records: Records) -> None:
    api.fail_next(Unreachable("gone", status=0))
    with pytest.raises(Unreachable):
        await records.ensure("node-1", "uid-1")


async def test_reads_no_record_that_is_not_there(records: Records) -> None:
    with pytest.raises(NotFound):
        await records.read("node-1")


async def test_stores_evidence_whole(records: Records) -> None:
    await records.write_evidence(await records.ensure("node-1", "uid-1"), EVIDENCE)
    assert (await records.read("node-1")).status.evidence == EVIDENCE


async def test_forgets_refusals_when_evidence_is_accepted(records: Records) -> None:
    record = await records.ensure("node-1", "uid-1")
    refused = await records.write_refusal(record, refusal("x"))
    accepted = await records.write_evidence(refused, EVIDENCE)
    assert accepted.status.last_refusal is None


async def test_keeps_evidence_when_a_submission_is_refused(records: Records) -> None:
    accepted = await records.write_evidence(await records.ensure("node-1", "uid-1"), EVIDENCE)
    refused = await records.write_refusal(accepted, refusal("x"))
    assert refused.status.evidence == EVIDENCE


async def test_keeps_nothing_of_an_older_refusal(records: Records) -> None:
    record = await records.write_refusal(await records.ensure("node-1", "uid-1"), refusal("x"))
    newer = await records.write_refusal(record, refusal(""))
    assert newer.status.last_refusal == refusal("")


async def test_keeps_evidence_and_refusal_when_a_submission_is_deferred(records: Records) -> None:
    accepted = await records.write_evidence(await records.ensure("node-1", "uid-1"), EVIDENCE)
    refused = await records.write_refusal(accepted, refusal("x"))
    deferred = await records.write_deferral(refused, DEFERRAL)
    status = deferred.status
    assert (status.evidence, status.last_refusal, status.deferral) == (
        EVIDENCE,
        refusal("x"),
        DEFERRAL,
    )


async def test_keeps_nothing_of_an_older_deferral(records: Records) -> None:
    first = await records.write_deferral(await records.ensure("node-1", "uid-1"), DEFERRAL)
    newer = Deferral(NOW, "EndorsementsUnavailable", "waiting still")
    assert (await records.write_deferral(first, newer)).status.deferral == newer


async def test_forgets_a_deferral_when_evidence_is_accepted(records: Records) -> None:
    deferred = await records.write_deferral(await records.ensure("node-1", "uid-1"), DEFERRAL)
    assert (await records.write_evidence(deferred, EVIDENCE)).status.deferral is None


async def test_forgets_a_deferral_when_a_submission_is_refused(records: Records) -> None:
    deferred = await records.write_deferral(await records.ensure("node-1", "uid-1"), DEFERRAL)
    assert (await records.write_refusal(deferred, refusal("x"))).status.deferral is None


async def test_keeps_all_else_when_the_agent_has_no_evidence(records: Records) -> None:
    accepted = await records.write_evidence(await records.ensure("node-1", "uid-1"), EVIDENCE)
    refused = await records.write_refusal(accepted, refusal("x"))
    deferred = await records.write_deferral(refused, DEFERRAL)
    excused = (await records.write_unavailable(deferred, UNAVAILABLE)).status
    assert excused.unavailable == UNAVAILABLE
    assert msgspec.structs.replace(excused, unavailable=None) == deferred.status


async def test_keeps_nothing_of_an_older_word_on_missing_evidence(records: Records) -> None:
    record = await records.ensure("node-1", "uid-1")
    first = await records.write_unavailable(record, UNAVAILABLE)
    newer = Unavailable(NOW, "FirmwareBusy")
    assert (await records.write_unavailable(first, newer)).status.unavailable == newer


@pytest.mark.parametrize("method", ["evidence", "refusal", "deferral"])
async def test_forgets_that_there_was_no_evidence_when_there_is(
    records: Records, method: str
) -> None:
    record = await records.ensure("node-1", "uid-1")
    excused = await records.write_unavailable(record, UNAVAILABLE)
    writes = {
        "evidence": lambda: records.write_evidence(excused, EVIDENCE),
        "refusal": lambda: records.write_refusal(excused, refusal("x")),
        "deferral": lambda: records.write_deferral(excused, DEFERRAL),
    }
    assert (await writes[method]()).status.unavailable is None


@pytest.mark.parametrize("method", ["evidence", "refusal", "deferral", "unavailable", "result"])
async def test_refuses_to_write_over_what_it_has_not_read(records: Records, method: str) -> None:
    stale = await records.ensure("node-1", "uid-1")
    await records.write_refusal(stale, refusal("x"))
    writes = {
        "evidence": lambda: records.write_evidence(stale, EVIDENCE),
        "refusal": lambda: records.write_refusal(stale, refusal("y")),
        "deferral": lambda: records.write_deferral(stale, DEFERRAL),
        "unavailable": lambda: records.write_unavailable(stale, UNAVAILABLE),
        "result": lambda: records.write_result(
            stale, conditions=(), policies=(), expiration_time=None, signer=""
        ),
    }
    with pytest.raises(Conflict):
        await writes[method]()


async def test_writes_a_result_and_keeps_the_evidence(records: Records) -> None:
    record = await records.write_evidence(await records.ensure("node-1", "uid-1"), EVIDENCE)
    written = await records.write_result(
        record,
        conditions=[Condition("Attested", Status.TRUE, "Attested", "fine", NOW)],
        policies=[PolicyResult("p", 1, Outcome.PASSED, Reason.ATTESTED, signer="VCEK")],
        expiration_time=NOW,
        signer="VCEK",
    )
    assert written.status.evidence == EVIDENCE
    assert written.status.condition("Attested") is not None
    assert (written.status.expiration_time, written.status.signer) == (NOW, "VCEK")
    assert [each.name for each in written.status.policies] == ["p"]


async def test_takes_back_an_expiration_and_a_signer(api: FakeApi, records: Records) -> None:
    record = await records.ensure("node-1", "uid-1")
    signed = await records.write_result(
        record, conditions=(), policies=(), expiration_time=NOW, signer="VCEK"
    )
    await records.write_result(signed, conditions=(), policies=(), expiration_time=None, signer="")
    assert not {"expirationTime", "signer"} & set(api.read(PATH)["status"])


async def test_writes_the_status_of_a_policy(api: FakeApi, records: Records) -> None:
    api.put(policy("p"), {"spec": {}})
    await records.write_policy_status("p", AttestationPolicyStatus(1, 4, 2, ()))
    assert api.read(policy("p"))["status"] == {
        "observedGeneration": 1,
        "matchingNodes": 4,
        "attestedNodes": 2,
        "conditions": [],
    }


def refusal(expected: str) -> LastRefusal:
    return LastRefusal(NOW, "SignatureInvalid", "not signed", 1, expected=expected)
