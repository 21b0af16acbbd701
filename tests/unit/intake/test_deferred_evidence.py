"""Answers that cannot be judged yet, and where certificates and lists come from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fakes.endorsing import RETRY_SECONDS, FakeEndorsements
from fakes.fake_api import FakeApi
from fakes.intake import Agent, Replica, Time, before_next, flipped, record_of, touch
from fakes.simulated import authority, impostor, machine
from nodeproof.result import Deferral
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.certtable import TableEntry, build_certificate_table
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.cluster.objects import NODE_ATTESTATIONS, node_attestation

MEASUREMENT_BIT = 8 * 0x090
"""The first bit of MEASUREMENT (AMD 56860, ATTESTATION_REPORT)."""


@pytest.fixture
def known(operator: Replica) -> FakeEndorsements:
    return operator.endorsements


def chain(agent: Agent) -> tuple[bytes, ...]:
    """Return VCEK, ASK and ARK of an agent's machine."""
    return tuple(agent.machine.processor.certificates)


def stale_table(agent: Agent) -> bytes:
    """Return the table of a host that still hands out another chip's VCEK."""
    vcek, _, _ = machine(seed=99).processor.certificates
    _, ask, ark = chain(agent)
    return build_certificate_table(
        {TableEntry.VCEK: vcek, TableEntry.ASK: ask, TableEntry.ARK: ark}
    )


def deferral_of(api: FakeApi) -> Deferral | None:
    return record_of(api).status.deferral


def put_status(api: FakeApi, **status: Any) -> None:
    """Change the stored status of the node's NodeAttestation."""
    body = api.read(node_attestation("node-1"))
    body["status"] = body.get("status", {}) | status
    api.put(node_attestation("node-1"), body)


async def test_evidence_without_certificates_is_to_come_again(
    operator: Replica, api: FakeApi, agent: Agent
) -> None:
    answered = await agent.attest(certificates=b"")
    assert (answered.status, answered.refusal.reason) == (503, "EndorsementsUnavailable")
    assert answered.headers["Retry-After"] == str(RETRY_SECONDS)
    assert answered.refusal.retry_after_seconds == RETRY_SECONDS
    assert record_of(api).status.last_refusal is None
    assert operator.observed.attempts == [("deferred", "EndorsementsUnavailable", "")]


async def test_what_is_missing_is_asked_for_in_the_nodes_name(
    known: FakeEndorsements, agent: Agent
) -> None:
    submission = agent.evidence(await agent.challenge())
    await agent.submit(msgspec.structs.replace(submission, certificates=b""))
    (asked,) = known.asked
    assert (asked.report, asked.node_uid) == (submission.report, "node-uid-1")
    assert (asked.deadline, asked.reason) == (None, "EndorsementsMissing")


async def test_a_deferral_is_recorded_with_its_reason(api: FakeApi, agent: Agent) -> None:
    await agent.attest(certificates=b"")
    deferral = deferral_of(api)
    assert deferral is not None
    assert (deferral.reason, deferral.expected) == ("EndorsementsUnavailable", "a VCEK")
    assert deferral.message == "AMD's certificates are not at hand"


async def test_a_deferral_is_not_written_again_within_five_minutes(
    api: FakeApi, time: Time, agent: Agent
) -> None:
    for seconds in (299, 1):
        await agent.attest(certificates=b"")
        time.pass_by(seconds=seconds)
    assert len(api.sent("PATCH", NODE_ATTESTATIONS)) == 1
    await agent.attest(certificates=b"")
    assert len(api.sent("PATCH", NODE_ATTESTATIONS)) == 2


@pytest.mark.parametrize(
    "planted",
    [
        {"time": "9998-01-01T00:00:00Z", "reason": "EndorsementsUnavailable", "message": "x"},
        {"time": "2026-03-02T11:59:59Z", "reason": "AnotherReason", "message": "x"},
    ],
    ids=["dated ahead", "another reason"],
)
async def test_a_deferral_that_is_not_ours_is_replaced(
    api: FakeApi, agent: Agent, planted: dict[str, str]
) -> None:
    challenge = await agent.challenge()
    put_status(api, deferral=planted)
    submission = msgspec.structs.replace(agent.evidence(challenge), certificates=b"")
    await agent.submit(submission)
    deferral = deferral_of(api)
    assert deferral is not None
    assert deferral.message == "AMD's certificates are not at hand"


async def test_a_deferral_survives_a_write_of_somebody_else(api: FakeApi, agent: Agent) -> None:
    challenge = await agent.challenge()
    api.before = before_next("PATCH", lambda: touch(api))
    submission = msgspec.structs.replace(agent.evidence(challenge), certificates=b"")
    assert (await agent.submit(submission)).refusal.reason == "EndorsementsUnavailable"
    assert deferral_of(api) is not None


async def test_a_deferral_leaves_evidence_and_refusals_alone(api: FakeApi, agent: Agent) -> None:
    await agent.attest()
    await agent.attest(boot_id="another-boot")
    before = record_of(api).status
    await agent.attest(certificates=b"")
    after = record_of(api).status
    assert (after.evidence, after.last_refusal) == (before.evidence, before.last_refusal)


async def test_accepted_evidence_ends_a_deferral(api: FakeApi, agent: Agent) -> None:
    await agent.attest(certificates=b"")
    await agent.attest()
    assert deferral_of(api) is None


async def test_a_refusal_ends_a_deferral(api: FakeApi, agent: Agent) -> None:
    await agent.attest(certificates=b"")
    await agent.attest(boot_id="another-boot")
    assert deferral_of(api) is None


async def test_trouble_with_the_api_server_is_a_reason_to_come_again(
    api: FakeApi, agent: Agent
) -> None:
    challenge = await agent.challenge()
    api.fail_next(Unreachable("no answer", status=0), path=NODE_ATTESTATIONS)
    submission = msgspec.structs.replace(agent.evidence(challenge), certificates=b"")
    assert (await agent.submit(submission)).status == 503


async def test_a_live_result_puts_its_node_before_others(
    api: FakeApi, known: FakeEndorsements, agent: Agent
) -> None:
    challenge = await agent.challenge()
    put_status(api, expirationTime="2026-03-02T12:10:00Z")
    await agent.submit(msgspec.structs.replace(agent.evidence(challenge), certificates=b""))
    assert known.asked[0].deadline == datetime(2026, 3, 2, 12, 10, tzinfo=UTC)


@pytest.mark.parametrize("end", ["2026-03-02T11:59:59Z", "2026-03-02T12:10:00"])
async def test_a_result_that_has_ended_puts_nobody_first(
    api: FakeApi, known: FakeEndorsements, agent: Agent, end: str
) -> None:
    challenge = await agent.challenge()
    put_status(api, expirationTime=end)
    await agent.submit(msgspec.structs.replace(agent.evidence(challenge), certificates=b""))
    assert known.asked[0].deadline is None


async def test_certificates_at_hand_need_not_be_sent(known: FakeEndorsements, agent: Agent) -> None:
    known.certificates = chain(agent)
    assert (await agent.attest(certificates=b"")).status == 200
    assert known.asked == []


async def test_what_was_accepted_is_noted(known: FakeEndorsements, agent: Agent) -> None:
    await agent.attest()
    assert [each.report.chip_id for each in known.noted] == [agent.machine.processor.chip_id]


async def test_a_stale_vcek_of_the_host_does_no_harm_where_the_right_one_is_at_hand(
    known: FakeEndorsements, agent: Agent
) -> None:
    known.certificates = chain(agent)
    assert (await agent.attest(certificates=stale_table(agent))).status == 200


async def test_a_stale_vcek_of_the_host_is_a_reason_to_fetch_the_right_one(
    api: FakeApi, known: FakeEndorsements, agent: Agent
) -> None:
    known.fetchable = True
    answered = await agent.attest(certificates=stale_table(agent))
    assert (answered.status, answered.refusal.reason) == (503, "EndorsementsUnavailable")
    assert known.asked[0].reason == "EndorsementMismatch"
    assert record_of(api).status.last_refusal is None


async def test_a_stale_vcek_is_refused_where_no_other_can_be_had(
    api: FakeApi, agent: Agent
) -> None:
    answered = await agent.attest(certificates=stale_table(agent))
    assert (answered.status, answered.refusal.reason) == (422, "EndorsementMismatch")
    refusal = record_of(api).status.last_refusal
    assert refusal is not None
    assert refusal.reason == "EndorsementMismatch"


async def test_one_of_ours_that_cannot_be_read_harms_nobody(
    known: FakeEndorsements, agent: Agent
) -> None:
    known.certificates = (b"no certificate", *chain(agent))
    assert (await agent.attest(certificates=b"")).status == 200


async def test_so_many_of_ours_that_the_hosts_have_no_room_harm_nobody(
    known: FakeEndorsements, agent: Agent
) -> None:
    known.certificates = vceks(40)
    assert (await agent.attest()).status == 200


async def test_a_report_that_answers_something_else_is_refused_without_any_certificate(
    api: FakeApi, known: FakeEndorsements, agent: Agent
) -> None:
    answered = await agent.attest(certificates=b"", boot_id="another-boot")
    assert (answered.status, answered.refusal.reason) == (422, "ReportDataMismatch")
    assert (known.asked, deferral_of(api)) == ([], None)


async def test_no_vcek_is_fetched_for_a_report_that_answers_something_else(
    known: FakeEndorsements, agent: Agent
) -> None:
    known.fetchable = True
    answered = await agent.attest(certificates=stale_table(agent), boot_id="another-boot")
    assert (answered.status, answered.refusal.reason) == (422, "EndorsementMismatch")
    assert known.asked == []


async def test_a_forged_root_is_refused_at_once(
    api: FakeApi, known: FakeEndorsements, agent: Agent
) -> None:
    known.fetchable = True
    vcek, ask, _ = chain(agent)
    table = {TableEntry.VCEK: vcek, TableEntry.ASK: ask, TableEntry.ARK: impostor().ark}
    answered = await agent.attest(certificates=build_certificate_table(table))
    assert (answered.status, answered.refusal.reason) == (422, "RootUntrusted")
    assert (known.asked, deferral_of(api)) == ([], None)


async def test_a_forged_signature_is_refused_at_once(
    api: FakeApi, known: FakeEndorsements, agent: Agent
) -> None:
    known.fetchable = True
    submission = agent.evidence(await agent.challenge())
    forged = flipped(submission.report, MEASUREMENT_BIT)
    answered = await agent.submit(msgspec.structs.replace(submission, report=forged))
    assert (answered.status, answered.refusal.reason) == (422, "SignatureInvalid")
    assert (known.asked, deferral_of(api)) == ([], None)


async def test_a_revoked_signer_is_refused_at_once(
    api: FakeApi, known: FakeEndorsements, agent: Agent, time: Time
) -> None:
    ask = load_certificates(chain(agent)[1:2])[0]
    known.learn(authority().issue_crl(time.now(), [ask.serial]))
    answered = await agent.attest()
    assert (answered.status, answered.refusal.reason) == (422, "SignerRevoked")
    refusal = record_of(api).status.last_refusal
    assert refusal is not None
    assert refusal.reason == "SignerRevoked"


async def test_a_list_made_after_the_challenge_counts(
    known: FakeEndorsements, agent: Agent, time: Time
) -> None:
    submission = agent.evidence(await agent.challenge())
    time.pass_by(seconds=60)
    known.learn(authority().issue_crl(time.now() + timedelta(days=1)))  # dated a day back: now
    await agent.submit(submission)
    assert known.noted[0].crl is not None


def vceks(count: int) -> tuple[bytes, ...]:
    """Return so many VCEKs of other chips."""
    return tuple(_vcek(number) for number in range(count))


def _vcek(number: int) -> bytes:
    return machine(seed=1000 + number).processor.certificates[0]


def stuffed(certificates: Sequence[bytes]) -> bytes:
    """Return a table whose few entries hold many certificates, as PEM."""
    pems = [
        x509.load_der_x509_certificate(each).public_bytes(Encoding.PEM) for each in certificates
    ]
    groups = {
        kind: b"".join(pems[index :: len(TableEntry)]) for index, kind in enumerate(TableEntry)
    }
    return build_certificate_table(groups)


async def test_a_table_stuffed_with_certificates_is_refused(api: FakeApi, agent: Agent) -> None:
    answered = await agent.attest(certificates=stuffed(vceks(17)))
    assert (answered.status, answered.refusal.reason) == (422, "CertificateMalformed")
    assert (answered.refusal.expected, answered.refusal.observed) == ("at most 16", "17")
    assert deferral_of(api) is None


async def test_a_table_of_as_many_certificates_as_are_read_is_judged(agent: Agent) -> None:
    answered = await agent.attest(certificates=stuffed((*vceks(13), *chain(agent))))
    assert answered.status == 200
