"""The whole pipeline over HTTP: what an honest agent sees, and what a second look finds stored."""

from __future__ import annotations

import asyncio
import json

from fakes.fake_api import FakeApi
from fakes.intake import (
    INTERVAL_SECONDS,
    Agent,
    Replica,
    Time,
    before_next,
    meeting,
    rebooted,
    record_of,
    replica,
    touch,
)
from nodeproof.challenge import read
from nodeproof.evidence import Holder, verify_stored
from nodeproof.protocol import (
    CHALLENGES_PATH,
    EVIDENCE_PATH,
    ChallengeAnswer,
    EvidenceReceipt,
    decode,
    encode,
)
from nodeproof_operator.cluster.objects import TOKEN_REVIEWS


async def test_an_honest_agent_is_accepted(agent: Agent) -> None:
    answered = await agent.attest()
    assert (answered.status, decode(answered.body, EvidenceReceipt).sequence) == (200, 1)


async def test_what_is_stored_can_be_verified_again(
    operator: Replica, api: FakeApi, agent: Agent
) -> None:
    await agent.attest()
    record = record_of(api)
    assert record.status.evidence is not None
    verified = verify_stored(
        record.status.evidence,
        Holder("cluster-uid", "node-1", "node-uid-1", record.uid),
        operator.keyring.public_keys(),
        operator.intake.service.anchors,
    )
    assert verified.boot_id == agent.machine.boot_id


async def test_an_answer_costs_no_second_token_review(api: FakeApi, agent: Agent) -> None:
    await agent.attest()
    assert len(api.sent("POST", TOKEN_REVIEWS)) == 1


async def test_the_next_visit_is_asked_for_within_a_tenth_of_the_interval(agent: Agent) -> None:
    answered = await agent.attest()
    seconds = decode(answered.body, EvidenceReceipt).next_seconds
    assert abs(seconds - INTERVAL_SECONDS) <= INTERVAL_SECONDS / 10


async def test_an_answer_is_never_to_be_cached(agent: Agent) -> None:
    answered = await agent.ask()
    assert answered.headers["Cache-Control"] == "no-store"


async def test_a_second_attestation_has_the_next_sequence(api: FakeApi, agent: Agent) -> None:
    await agent.attest()
    await agent.attest()
    assert record_of(api).status.sequence == 2


async def test_a_challenge_names_its_caller_and_the_state_it_may_replace(
    api: FakeApi, agent: Agent
) -> None:
    await agent.attest()
    challenge = read(await agent.challenge())
    subject, record = challenge.subject, record_of(api)
    assert (subject.node_name, subject.node_uid, subject.pod_uid, subject.cluster_uid) == (
        "node-1",
        "node-uid-1",
        "pod-uid-1",
        "cluster-uid",
    )
    assert (challenge.node_attestation_uid, challenge.sequence) == (record.uid, 1)


async def test_no_two_challenges_are_alike(agent: Agent) -> None:
    assert await agent.challenge() != await agent.challenge()


async def test_the_same_answer_again_gets_the_same_receipt(api: FakeApi, agent: Agent) -> None:
    submission = agent.evidence(await agent.challenge())
    first = await agent.submit(submission)
    again = await agent.submit(submission)
    assert (first.status, again.status) == (200, 200)
    assert decode(again.body, EvidenceReceipt).sequence == 1
    assert record_of(api).status.sequence == 1


async def test_a_repeated_answer_is_counted_as_repeated(operator: Replica, agent: Agent) -> None:
    submission = agent.evidence(await agent.challenge())
    await agent.submit(submission)
    await agent.submit(submission)
    assert operator.observed.attempts == [
        ("accepted", "Accepted", "Simulated"),
        ("accepted", "Repeated", ""),
    ]


async def test_any_replica_takes_the_answer(api: FakeApi, time: Time, agent: Agent) -> None:
    async with replica(api, time) as other:
        answered = await other.agent().submit(agent.evidence(await agent.challenge()))
    assert answered.status == 200


async def test_two_replicas_given_the_same_answer_at_once_accept_it_once(
    api: FakeApi, time: Time, agent: Agent
) -> None:
    async with replica(api, time) as other:
        submission = agent.evidence(await agent.challenge())
        api.before = meeting("PATCH", 2)
        both = await asyncio.gather(agent.submit(submission), other.agent().submit(submission))
    assert [decode(each.body, EvidenceReceipt).sequence for each in both] == [1, 1]
    assert record_of(api).status.sequence == 1
    assert len(api.sent("PATCH", "nodeattestations")) == 2  # the second was a conflict, and enough


async def test_of_two_answers_to_one_state_only_one_is_accepted(
    api: FakeApi, time: Time, agent: Agent
) -> None:
    first, second = [agent.evidence(await agent.challenge()) for _ in range(2)]
    async with replica(api, time) as other:
        api.before = meeting("PATCH", 2)
        both = await asyncio.gather(agent.submit(first), other.agent().submit(second))
    assert sorted(each.status for each in both) == [200, 409]
    assert record_of(api).status.sequence == 1


async def test_a_status_written_in_between_does_not_lose_the_answer(
    api: FakeApi, agent: Agent
) -> None:
    submission = agent.evidence(await agent.challenge())
    api.before = before_next("PATCH", lambda: touch(api))
    answered = await agent.submit(submission)
    assert (answered.status, record_of(api).status.sequence) == (200, 1)


async def test_accepted_evidence_ends_a_row_of_refusals(api: FakeApi, agent: Agent) -> None:
    await agent.attest(boot_id="another")
    await agent.attest()
    assert record_of(api).status.last_refusal is None


async def test_a_rebooted_node_is_accepted_with_its_new_boot_id(api: FakeApi, agent: Agent) -> None:
    await agent.attest()
    restarted = rebooted(agent)
    await restarted.attest()
    evidence = record_of(api).status.evidence
    assert evidence is not None
    assert evidence.boot_id == restarted.machine.boot_id


async def test_an_agent_of_a_later_release_that_says_more_is_served(agent: Agent) -> None:
    """As while both sides are rolled: what is added within a version may be left unread."""
    more = {"added": {"by": "a later release"}}
    asked = await agent.post(CHALLENGES_PATH, json.dumps({"protocol": 1} | more).encode())
    submission = agent.evidence(decode(asked.body, ChallengeAnswer).challenge)
    answered = await agent.post(
        EVIDENCE_PATH, json.dumps(json.loads(encode(submission)) | more).encode()
    )
    assert (asked.status, answered.status) == (200, 200)


async def test_an_agent_of_a_later_protocol_is_told_what_to_do(agent: Agent) -> None:
    answered = await agent.post(EVIDENCE_PATH, b'{"protocol": 2, "quote": "another shape"}')
    assert (answered.status, answered.refusal.reason) == (400, "ProtocolUnsupported")
    assert "bring the operator to the other's release" in answered.refusal.message
