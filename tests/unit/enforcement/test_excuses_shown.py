"""A node whose agent says why it has no evidence: it is shown, and helps the node to nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from fakes.enforcement import (
    BAD_MEASUREMENT,
    GATE,
    NOW,
    Leader,
    case,
    condition_of,
    effects_of,
    evidence,
    labels_of,
    node,
    policy,
    proof,
    put_record,
    record,
)
from fakes.fake_api import FakeApi
from fakes.simulated import machine
from nodeproof.result import MAX_FACT_LENGTH, Deferral, Reason, Status, Unavailable
from nodeproof.unavailability import CAUSES, Cause
from nodeproof_operator.cluster.objects import node_attestation
from nodeproof_operator.enforcement.desired import desired, next_time
from nodeproof_operator.enforcement.result import assess

LATER = NOW + timedelta(seconds=600)
EXPIRED = NOW + timedelta(seconds=901)
GRACE_OVER = NOW + timedelta(seconds=1200)
REMEDY = CAUSES[Cause.KEY_DISABLED].remedy


def unavailable(time: datetime = LATER, cause: str = "KeyDisabled") -> Unavailable:
    return Unavailable(time, cause, "VMPCK0 was given up")


def excused(time: datetime = LATER, **status: Any) -> Any:
    return record(unavailable=unavailable(time), **status)


def outcome(**changes: Any) -> tuple[Status, str]:
    found = assess(case(**changes)).attested
    return found.status, found.reason


def message(**changes: Any) -> str:
    return assess(case(**changes)).attested.message


def effect(**changes: Any) -> str | None:
    made = case(**changes)
    found = desired(made.node, assess(made), made.now)
    assert found is not None
    return found.taint_effect


@pytest.mark.parametrize(
    "words", ["KeyDisabled (the key to the firmware is disabled)", REMEDY, "VMPCK0 was given up"]
)
def test_a_node_without_evidence_is_said_to_have_none_and_why(words: str) -> None:
    made: dict[str, Any] = {"proof": None, "record": excused(), "now": EXPIRED}
    assert outcome(**made) == (Status.UNKNOWN, Reason.NO_EVIDENCE)
    assert words in message(**made)


def test_a_node_whose_result_has_ended_is_said_to_have_none_and_why() -> None:
    made: dict[str, Any] = {"record": excused(), "now": EXPIRED}
    assert outcome(**made) == (Status.UNKNOWN, Reason.EXPIRED)
    assert "KeyDisabled" in message(**made)


def test_a_rebooted_node_is_said_to_have_none_and_why() -> None:
    made: dict[str, Any] = {"record": excused(), "now": LATER, "node": node(boot_id="other")}
    assert outcome(**made) == (Status.UNKNOWN, Reason.NODE_REBOOTED)
    assert "KeyDisabled" in message(**made)


def test_a_node_that_waits_for_certificates_may_have_lost_its_platform_since() -> None:
    waits = Deferral(LATER, "EndorsementsUnavailable", "no VCEK is at hand")
    made: dict[str, Any] = {"record": excused(deferral=waits), "now": EXPIRED}
    assert outcome(**made) == (Status.UNKNOWN, Reason.ENDORSEMENTS_UNAVAILABLE)
    assert "KeyDisabled" in message(**made)


def test_a_live_result_stays_as_it_is_until_it_ends() -> None:
    made: dict[str, Any] = {"record": excused(), "now": LATER}
    assert outcome(**made) == (Status.TRUE, Reason.ATTESTED)
    assert message(**made) == message(now=LATER)


def test_a_failure_stays_as_it_is() -> None:
    made: dict[str, Any] = {"record": excused(), "now": EXPIRED, "proof": proof(bad=True)}
    assert outcome(**made) == (Status.FALSE, Reason.CHECK_FAILED)
    assert "KeyDisabled" not in message(**made)


@pytest.mark.parametrize("cause", Cause)
def test_no_cause_keeps_a_silent_node_from_being_closed_harder(cause: Cause) -> None:
    made: dict[str, Any] = {"record": record(unavailable=unavailable(cause=cause))}
    assert effect(now=EXPIRED, **made) == "NoSchedule"
    assert effect(now=GRACE_OVER, **made) == "NoExecute"
    assert next_time(assess(case(now=EXPIRED, **made)), EXPIRED) == GRACE_OVER


@pytest.mark.parametrize(
    "time",
    [NOW, NOW - timedelta(days=1), EXPIRED + timedelta(seconds=6), datetime(2026, 3, 2, 12, 10)],  # noqa: DTZ001 - no instant at all
    ids=["of the evidence's time", "before the evidence", "in the future", "without a zone"],
)
def test_a_word_that_says_nothing_of_newer_evidence_is_not_shown(time: datetime) -> None:
    assert message(record=excused(time), now=EXPIRED) == message(now=EXPIRED)


@pytest.mark.parametrize("cause", Cause)
def test_the_cause_is_shown_whole_whatever_else_is_to_be_said(cause: Cause) -> None:
    many = {name: policy(name) for name in (f"policy-of-the-team-{each}" for each in range(60))}
    said = Unavailable(LATER, str(cause), "\u202e" * 1024)
    text = message(record=record(unavailable=said), now=EXPIRED, policies=many)
    assert len(text) == MAX_FACT_LENGTH
    assert text.startswith("simulated platform: not a proof; policy")
    assert CAUSES[cause].remedy in text
    assert text.endswith('"')


def test_a_word_of_a_later_release_is_shown_as_it_is() -> None:
    said = Unavailable(LATER, "Word\nOfALaterRelease")
    text = message(record=record(unavailable=said), now=EXPIRED)
    assert text.endswith("its agent says that it has no evidence: Word\\nOfALaterRelease")


async def test_a_node_that_loses_its_platform_and_finds_it_again(
    api: FakeApi, leader: Leader
) -> None:
    first = evidence()
    put_record(api, evidence=first)
    await leader.reconcile()
    leader.pass_by(seconds=600)
    put_record(api, evidence=first, unavailable=unavailable(leader.now))
    await leader.reconcile()
    assert (labels_of(api), effects_of(api)) == ({GATE}, [])
    leader.pass_by(seconds=301)
    await leader.reconcile()
    assert (labels_of(api), effects_of(api)) == (set(), ["NoSchedule"])
    assert condition_of(api) == ("Unknown", "Expired")
    leader.pass_by(seconds=300)
    await leader.reconcile()
    assert effects_of(api) == ["NoExecute"]
    put_record(api, evidence=evidence(issued=leader.now, sequence=2))
    await leader.reconcile()
    assert (labels_of(api), effects_of(api)) == ({GATE}, [])


async def test_a_word_written_over_bad_evidence_opens_nothing(api: FakeApi, leader: Leader) -> None:
    bad = evidence(machine(measurement=BAD_MEASUREMENT))
    put_record(api, evidence=bad, unavailable=unavailable(NOW + timedelta(seconds=1)))
    leader.pass_by(seconds=2)
    await leader.reconcile()
    assert (labels_of(api), effects_of(api)) == (set(), ["NoExecute"])


async def test_what_the_agent_says_is_stored_with_the_result(api: FakeApi, leader: Leader) -> None:
    put_record(api, unavailable=unavailable(NOW))
    await leader.reconcile()
    conditions = api.read(node_attestation("node-1"))["status"]["conditions"]
    (attested,) = [each for each in conditions if each["type"] == "Attested"]
    assert (attested["status"], attested["reason"]) == ("Unknown", "NoEvidence")
    assert REMEDY in attested["message"]


async def test_the_same_word_again_is_no_news(api: FakeApi, leader: Leader) -> None:
    put_record(api, unavailable=unavailable(NOW))
    await leader.reconcile()
    leader.pass_by(seconds=300)
    stored = api.read(node_attestation("node-1"))
    stored["status"]["unavailable"]["time"] = "2026-03-02T12:05:00Z"
    api.put(node_attestation("node-1"), stored)
    written = len(api.sent("PATCH"))
    await leader.reconcile()
    assert len(api.sent("PATCH")) == written
