"""A node whose evidence waits for AMD's certificates: closed in time, and never punished for it."""

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
    proof,
    put_record,
    record,
    tainted,
)
from fakes.fake_api import FakeApi
from fakes.simulated import machine
from nodeproof.errors import SignatureInvalid
from nodeproof.result import Deferral, LastRefusal, Reason, Status, StoredEvidence
from nodeproof_operator.enforcement.desired import desired, next_time
from nodeproof_operator.enforcement.finding import DEFERRAL_LIFE
from nodeproof_operator.enforcement.result import assess

EXPIRED = NOW + timedelta(seconds=901)
GRACE_OVER = NOW + timedelta(seconds=1201)
MUCH_LATER = NOW + timedelta(days=30)
RECENTLY = timedelta(seconds=60)
LABELLED = node(labels={GATE: "true"})


def deferral(time: datetime = NOW + timedelta(seconds=600)) -> Deferral:
    return Deferral(
        time, "EndorsementsUnavailable", "no VCEK is at hand", expected="VCEK of chip x"
    )


def deferred(time: datetime = NOW + timedelta(seconds=600), **status: Any) -> Any:
    return record(deferral=deferral(time), **status)


def outcome(**changes: Any) -> tuple[Status, str]:
    found = assess(case(**changes)).attested
    return found.status, found.reason


def wanted(**changes: Any) -> tuple[set[str], str | None]:
    made = case(**changes)
    found = desired(made.node, assess(made), made.now)
    assert found is not None
    return set(found.gate_labels), found.taint_effect


WAITING = (Status.UNKNOWN, Reason.ENDORSEMENTS_UNAVAILABLE)


def test_a_node_that_was_never_judged_is_said_to_wait() -> None:
    assert outcome(proof=None, record=deferred(), now=EXPIRED) == WAITING


def test_the_message_says_what_is_missing() -> None:
    message = assess(case(proof=None, record=deferred(), now=EXPIRED)).attested.message
    assert "no VCEK is at hand (expected VCEK of chip x)" in message


def test_a_result_lives_on_while_newer_evidence_waits() -> None:
    soon = NOW + timedelta(seconds=899)
    assert outcome(record=deferred(), now=soon) == (Status.TRUE, Reason.ATTESTED)
    assert wanted(record=deferred(), now=soon, node=LABELLED) == ({GATE}, None)


def test_a_result_that_has_ended_is_said_to_wait() -> None:
    assert outcome(record=deferred(), now=EXPIRED) == WAITING


def test_no_label_outlives_its_result_by_waiting() -> None:
    held = {"confidential": EXPIRED + timedelta(hours=1)}
    for passes in ({}, held):
        labels, _ = wanted(record=deferred(), now=EXPIRED, node=LABELLED, passes=passes)
        assert labels == set()


@pytest.mark.parametrize("now", [EXPIRED, GRACE_OVER, MUCH_LATER])
@pytest.mark.parametrize("shown", [None, proof()], ids=["never judged", "expired"])
def test_waiting_never_escalates(now: datetime, shown: Any) -> None:
    waits = deferred(now - RECENTLY)
    assert wanted(record=waits, proof=shown, now=now) == (set(), "NoSchedule")


def test_a_node_that_asks_no_more_is_silent_again() -> None:
    time = NOW + timedelta(seconds=600)
    end = time + DEFERRAL_LIFE
    made = case(record=deferred(time), now=GRACE_OVER)
    assert next_time(assess(made), GRACE_OVER) == end
    assert outcome(record=deferred(time), now=end) == (Status.UNKNOWN, Reason.EXPIRED)
    assert wanted(record=deferred(time), now=end) == (set(), "NoExecute")


def test_a_node_that_was_never_attested_and_asks_no_more_is_not_evicted() -> None:
    assert wanted(record=deferred(), proof=None, now=MUCH_LATER) == (set(), "NoSchedule")


def test_waiting_does_not_make_a_taint_weaker() -> None:
    assert wanted(record=deferred(), now=EXPIRED, node=tainted("NoExecute"))[1] == "NoExecute"


def test_a_rebooted_node_loses_its_label_at_once_although_it_waits() -> None:
    other = node(boot_id="another", labels={GATE: "true"})
    soon = NOW + timedelta(seconds=650)
    assert wanted(record=deferred(), now=soon, node=other) == (set(), "NoSchedule")
    assert wanted(record=deferred(), now=GRACE_OVER, node=other) == (set(), "NoSchedule")


def test_waiting_takes_nothing_back_of_what_a_failure_has_earned() -> None:
    found = outcome(record=deferred(), proof=proof(bad=True), now=EXPIRED)
    assert found == (Status.FALSE, Reason.CHECK_FAILED)


def test_waiting_takes_no_refusal_back() -> None:
    refused = LastRefusal(NOW, "SignatureInvalid", "not signed", 2)
    found = outcome(record=deferred(last_refusal=refused), proof=None, now=EXPIRED)
    assert found == (Status.FALSE, Reason.NOT_GENUINE)


def test_waiting_does_not_make_evidence_genuine() -> None:
    found = outcome(record=deferred(), proof=SignatureInvalid("no"), now=EXPIRED)
    assert found == (Status.FALSE, Reason.NOT_GENUINE)


@pytest.mark.parametrize(
    "time",
    [NOW, NOW - timedelta(days=1), EXPIRED + timedelta(seconds=6), datetime(2026, 3, 2, 12, 10)],  # noqa: DTZ001 - no instant at all
    ids=["of the evidence's time", "before the evidence", "in the future", "without a zone"],
)
def test_a_deferral_that_says_nothing_of_newer_evidence_does_not_count(time: datetime) -> None:
    assert outcome(record=deferred(time), now=EXPIRED) == (Status.UNKNOWN, Reason.EXPIRED)


def test_endorsements_are_said_to_be_missing_while_a_result_lives() -> None:
    found = assess(case(record=deferred(), now=NOW + timedelta(seconds=700))).endorsements_current
    assert (found.status, found.reason) == (Status.FALSE, "EndorsementsUnavailable")
    assert found.message == "no VCEK is at hand"


async def attest(api: FakeApi, leader: Leader, of: StoredEvidence) -> None:
    put_record(api, evidence=of)
    await leader.reconcile()


async def test_a_node_that_waits_too_long_is_closed_and_opened_again(
    api: FakeApi, leader: Leader
) -> None:
    first = evidence()
    await attest(api, leader, first)
    leader.pass_by(seconds=300)
    put_record(api, evidence=first, deferral=deferral(leader.now))
    await leader.reconcile()
    assert labels_of(api) == {GATE}
    leader.pass_by(seconds=601)
    await leader.reconcile()
    assert (labels_of(api), effects_of(api)) == (set(), ["NoSchedule"])
    assert condition_of(api) == ("Unknown", "EndorsementsUnavailable")
    leader.pass_by(days=1)
    put_record(api, evidence=first, deferral=deferral(leader.now))
    await leader.reconcile()
    assert effects_of(api) == ["NoSchedule"]
    await attest(api, leader, evidence(issued=leader.now, sequence=2))
    assert (labels_of(api), effects_of(api)) == ({GATE}, [])


async def test_a_deferral_written_over_bad_evidence_opens_nothing(
    api: FakeApi, leader: Leader
) -> None:
    bad = evidence(machine(measurement=BAD_MEASUREMENT))
    put_record(api, evidence=bad, deferral=deferral(NOW + timedelta(seconds=1)))
    leader.pass_by(seconds=2)
    await leader.reconcile()
    assert (labels_of(api), effects_of(api)) == (set(), ["NoExecute"])
