"""Answers that are not accepted: what the agent is told and what the NodeAttestation keeps."""

from __future__ import annotations

import msgspec
import pytest

from fakes.fake_api import FakeApi
from fakes.intake import (
    Agent,
    Options,
    Replica,
    Time,
    before_next,
    cluster,
    flipped,
    record_of,
    replica,
)
from fakes.simulated import report
from nodeproof.binding import report_data
from nodeproof.challenge import SIGNATURE_SIZE
from nodeproof.protocol import CHALLENGES_PATH, EVIDENCE_PATH
from nodeproof.sevsnp.products import CPUID
from nodeproof.sevsnp.roots import AMD_ROOTS
from nodeproof_operator.cluster.objects import node_attestation

MEASUREMENT_BIT = 8 * 0x090
"""The first bit of MEASUREMENT (AMD 56860, ATTESTATION_REPORT)."""


async def test_a_challenge_that_was_answered_too_late(
    api: FakeApi, time: Time, agent: Agent
) -> None:
    submission = agent.evidence(await agent.challenge())
    time.pass_by(seconds=121)
    answered = await agent.submit(submission)
    assert (answered.status, answered.refusal.reason) == (410, "ChallengeExpired")
    assert (answered.refusal.expected, answered.refusal.observed) == (
        "an answer within 120 s",
        "121 s",
    )
    assert record_of(api).status.sequence == 0


async def test_a_challenge_from_the_future(time: Time, agent: Agent) -> None:
    submission = agent.evidence(await agent.challenge())
    time.pass_by(seconds=-6)
    answered = await agent.submit(submission)
    assert (answered.status, answered.refusal.reason) == (410, "ChallengeExpired")


async def test_a_challenge_with_a_changed_byte(api: FakeApi, agent: Agent) -> None:
    challenge = await agent.challenge()
    forged = challenge.replace(b'"sequence":0', b'"sequence":7')
    answered = await agent.submit(agent.evidence(forged))
    assert (answered.status, answered.refusal.reason) == (403, "ChallengeForged")
    assert record_of(api).status.last_refusal is None


async def test_a_challenge_with_a_changed_signature(agent: Agent) -> None:
    challenge = await agent.challenge()
    forged = flipped(challenge, 8 * (len(challenge) - SIGNATURE_SIZE))
    answered = await agent.submit(agent.evidence(forged))
    assert (answered.status, answered.refusal.reason) == (403, "ChallengeForged")


async def test_a_challenge_of_another_clusters_key(agent: Agent, time: Time) -> None:
    async with replica(cluster(), time) as elsewhere:
        foreign = await elsewhere.agent().challenge()
    answered = await agent.submit(agent.evidence(foreign))
    assert (answered.status, answered.refusal.reason) == (403, "ChallengeForged")


async def test_a_challenge_of_another_cluster_that_has_the_same_key(
    api: FakeApi, agent: Agent, time: Time
) -> None:
    async with replica(api, time, Options(cluster_uid="elsewhere")) as elsewhere:
        foreign = await elsewhere.agent().challenge()
    answered = await agent.submit(agent.evidence(foreign))
    assert (answered.status, answered.refusal.reason) == (403, "IdentityMismatch")


async def test_bytes_that_are_no_challenge(agent: Agent) -> None:
    answered = await agent.submit(agent.evidence(b"not a challenge" * 10))
    assert (answered.status, answered.refusal.reason) == (400, "ChallengeMalformed")


async def test_a_challenge_that_newer_evidence_has_superseded(api: FakeApi, agent: Agent) -> None:
    old = agent.evidence(await agent.challenge())
    await agent.attest()
    answered = await agent.submit(old)
    assert (answered.status, answered.refusal.reason) == (409, "ChallengeSuperseded")
    assert (answered.refusal.expected, answered.refusal.observed) == ("sequence 1", "sequence 0")
    assert record_of(api).status.sequence == 1


async def test_another_report_to_the_challenge_that_was_answered_already(agent: Agent) -> None:
    challenge = await agent.challenge()
    await agent.submit(agent.evidence(challenge))
    answered = await agent.submit(agent.evidence(challenge))  # signed anew: other bytes
    assert answered.refusal.reason == "ChallengeSuperseded"


async def test_a_challenge_of_a_node_attestation_that_is_gone(api: FakeApi, agent: Agent) -> None:
    submission = agent.evidence(await agent.challenge())
    api.remove(node_attestation("node-1"))
    answered = await agent.submit(submission)
    assert (answered.status, answered.refusal.reason) == (409, "ChallengeSuperseded")


async def test_a_challenge_of_a_node_attestation_that_was_made_anew(
    api: FakeApi, agent: Agent
) -> None:
    submission = agent.evidence(await agent.challenge())
    api.remove(node_attestation("node-1"))
    await agent.challenge()
    answered = await agent.submit(submission)
    assert (answered.status, answered.refusal.reason) == (409, "ChallengeSuperseded")
    assert record_of(api).status.sequence == 0


async def test_a_node_attestation_that_goes_during_verification(api: FakeApi, agent: Agent) -> None:
    submission = agent.evidence(await agent.challenge())
    api.before = before_next("PATCH", lambda: api.remove(node_attestation("node-1")))
    answered = await agent.submit(submission)
    assert (answered.status, answered.refusal.reason) == (409, "ChallengeSuperseded")


async def test_evidence_of_one_node_under_the_token_of_another(
    operator: Replica, api: FakeApi, agent: Agent
) -> None:
    other = operator.agent(2)
    submission = other.evidence(await other.challenge())
    answered = await agent.submit(submission)
    assert (answered.status, answered.refusal.reason) == (403, "IdentityMismatch")
    assert (record_of(api, 2).status.sequence, record_of(api, 2).status.last_refusal) == (0, None)


async def test_a_report_of_another_node_over_its_own_challenge(
    operator: Replica, agent: Agent
) -> None:
    other = operator.agent(2)
    relayed = other.evidence(await other.challenge())
    answered = await agent.attest(report=relayed.report, certificates=relayed.certificates)
    assert (answered.status, answered.refusal.reason) == (422, "ReportDataMismatch")


async def test_a_report_over_another_boot_id(agent: Agent) -> None:
    answered = await agent.attest(boot_id="another-boot")
    assert (answered.status, answered.refusal.reason) == (422, "ReportDataMismatch")


async def test_an_old_report_to_a_new_challenge(agent: Agent) -> None:
    old = agent.evidence(await agent.challenge())
    answered = await agent.attest(report=old.report)
    assert answered.refusal.reason == "ReportDataMismatch"


async def test_a_report_with_one_bit_turned(agent: Agent) -> None:
    submission = agent.evidence(await agent.challenge())
    answered = await agent.attest(report=flipped(submission.report, MEASUREMENT_BIT))
    assert (answered.status, answered.refusal.reason) == (422, "SignatureInvalid")


async def test_a_truncated_report(agent: Agent) -> None:
    answered = await agent.attest(report=b"\x03" + bytes(100))
    assert (answered.status, answered.refusal.reason) == (422, "ReportMalformed")


async def test_a_report_of_an_unknown_product(agent: Agent) -> None:
    challenge = await agent.challenge()
    signed = report(
        agent.machine, report_data(challenge, agent.machine.boot_id), cpuid=CPUID(0xFF, 0xFF, 0xF)
    )
    submission = msgspec.structs.replace(agent.evidence(challenge), report=signed)
    answered = await agent.submit(submission)
    assert (answered.status, answered.refusal.reason) == (422, "ProductUnknown")


async def test_simulated_evidence_without_the_operators_flag(api: FakeApi, time: Time) -> None:
    async with replica(api, time, Options(anchors=AMD_ROOTS)) as strict:
        answered = await strict.agent().attest()
    assert (answered.status, answered.refusal.reason) == (422, "RootUntrusted")
    assert record_of(api).status.evidence is None


async def test_a_certificate_table_that_cannot_be_read(agent: Agent) -> None:
    answered = await agent.attest(certificates=b"\xff" * 100)
    assert (answered.status, answered.refusal.reason) == (422, "CertificateMalformed")


async def test_a_certificate_table_above_the_limit(agent: Agent) -> None:
    answered = await agent.attest(certificates=bytes(65 * 1024))
    assert (answered.status, answered.refusal.reason) == (413, "MessageTooLarge")


@pytest.mark.parametrize("boot_id", ["x" * 65, "line\nbreak", "\N{SNOWMAN}"])
async def test_a_boot_id_that_is_none(agent: Agent, boot_id: str) -> None:
    answered = await agent.attest(boot_id=boot_id)
    assert (answered.status, answered.refusal.reason) == (400, "MessageMalformed")


async def test_what_is_not_genuine_is_recorded_with_its_facts(api: FakeApi, agent: Agent) -> None:
    answered = await agent.attest(boot_id="another-boot")
    refusal = record_of(api).status.last_refusal
    assert refusal is not None
    assert (refusal.reason, refusal.consecutive) == ("ReportDataMismatch", 1)
    assert (refusal.expected, refusal.observed) == (
        answered.refusal.expected,
        answered.refusal.observed,
    )


async def test_refusals_in_a_row_are_counted(api: FakeApi, time: Time, agent: Agent) -> None:
    for _ in range(3):
        await agent.attest(boot_id="another-boot")
        time.pass_by(seconds=10)
    refusal = record_of(api).status.last_refusal
    assert refusal is not None
    assert refusal.consecutive == 3


async def test_the_same_refused_answer_sent_twice_counts_once(
    api: FakeApi, time: Time, agent: Agent
) -> None:
    submission = msgspec.structs.replace(agent.evidence(await agent.challenge()), boot_id="other")
    await agent.submit(submission)
    time.pass_by(seconds=10)
    again = await agent.submit(submission)
    refusal = record_of(api).status.last_refusal
    assert again.refusal.reason == "ReportDataMismatch"
    assert refusal is not None
    assert refusal.consecutive == 1


async def test_a_refusal_that_somebody_dated_ahead_stops_no_count(
    api: FakeApi, time: Time, agent: Agent
) -> None:
    await agent.attest(boot_id="another-boot")
    body = api.read(node_attestation("node-1"))
    body["status"]["lastRefusal"]["time"] = "9998-01-01T00:00:00Z"
    api.put(node_attestation("node-1"), body)
    time.pass_by(seconds=10)
    await agent.attest(boot_id="another-boot")
    refusal = record_of(api).status.last_refusal
    assert refusal is not None
    assert refusal.consecutive == 2


async def test_a_refusal_leaves_the_accepted_evidence_alone(api: FakeApi, agent: Agent) -> None:
    await agent.attest()
    before = record_of(api).status.evidence
    await agent.attest(boot_id="another-boot")
    assert record_of(api).status.evidence == before


async def test_refusals_are_observed_with_their_reason(operator: Replica, agent: Agent) -> None:
    await agent.attest(boot_id="another-boot")
    assert operator.observed.attempts == [("refused", "ReportDataMismatch", "")]


@pytest.mark.parametrize("path", [CHALLENGES_PATH, EVIDENCE_PATH])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 2000, b'{"protocol": "1"}']
)
async def test_a_body_that_is_no_message(agent: Agent, path: str, body: bytes) -> None:
    answered = await agent.post(path, body)
    assert (answered.status, answered.refusal.reason) == (400, "MessageMalformed")


async def test_a_truncated_submission(agent: Agent) -> None:
    whole = msgspec.json.encode(agent.evidence(await agent.challenge()))
    answered = await agent.post(EVIDENCE_PATH, whole[:-100])
    assert (answered.status, answered.refusal.reason) == (400, "MessageMalformed")


async def test_a_protocol_version_that_is_not_served(agent: Agent) -> None:
    answered = await agent.post(CHALLENGES_PATH, b'{"protocol": 99}')
    assert (answered.status, answered.refusal.reason) == (400, "ProtocolUnsupported")
    assert answered.refusal.observed == "99"
