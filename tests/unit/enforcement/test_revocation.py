"""What AMD's revocation lists, and their absence, make of a node."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fakes.enforcement import (
    GATE,
    LIST_LIFE,
    NODE,
    NOW,
    POLICY,
    Leader,
    case,
    condition_of,
    effects_of,
    evidence,
    labels_of,
    node,
    policy,
    proof,
    put_policy,
    put_record,
    record,
    revocation_list,
)
from fakes.fake_api import FakeApi
from fakes.simulated import authority
from nodeproof.errors import RootUntrusted, SignerRevoked
from nodeproof.policy import Policy, RevocationMode, RevocationRules
from nodeproof.result import LastRefusal, Reason, Status
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof_operator.enforcement.desired import desired, next_time
from nodeproof_operator.enforcement.result import assess

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LABELLED = node(labels={GATE: "true"})


def asking(mode: RevocationMode, maximum_age_seconds: int | None = None) -> Policy:
    return policy(revocation=RevocationRules(mode, maximum_age_seconds))


REQUIRED = asking(RevocationMode.REQUIRED)
DAILY = asking(RevocationMode.REQUIRED, 86_400)


def judged(by: Policy = REQUIRED, **changes: Any) -> Any:
    return assess(case(policies={POLICY: by}, **changes))


def outcome(by: Policy = REQUIRED, **changes: Any) -> tuple[Status, str]:
    found = judged(by, **changes).attested
    return found.status, found.reason


def wanted(by: Policy = REQUIRED, **changes: Any) -> tuple[set[str], str | None]:
    made = case(policies={POLICY: by}, **changes)
    found = desired(made.node, assess(made), made.now)
    assert found is not None
    return set(found.gate_labels), found.taint_effect


PASSES = (Status.TRUE, Reason.ATTESTED)
LACKING = (Status.UNKNOWN, Reason.ENDORSEMENTS_UNAVAILABLE)


@pytest.mark.parametrize("mode", [RevocationMode.PREFERRED, RevocationMode.OFF])
def test_without_a_list_a_node_passes_a_policy_that_requires_none(mode: RevocationMode) -> None:
    assert outcome(asking(mode)) == PASSES


def test_without_a_list_nobody_passes_a_policy_that_requires_one() -> None:
    assert outcome() == LACKING
    assert wanted() == (set(), "NoSchedule")


def test_with_a_list_in_force_a_node_passes() -> None:
    assert outcome(proof=proof(crl=revocation_list())) == PASSES


def test_a_list_counts_until_its_end() -> None:
    end = NOW + LIST_LIFE
    fresh = proof(issued=end - timedelta(seconds=60), crl=revocation_list())
    assert outcome(proof=fresh, now=end - timedelta(seconds=1)) == PASSES
    assert outcome(proof=fresh, now=end) == LACKING


def test_a_list_counts_no_longer_than_the_policy_says() -> None:
    fresh = proof(crl=revocation_list(NOW - DAY + timedelta(seconds=60)))
    assert outcome(DAILY, proof=fresh, now=NOW + timedelta(seconds=59)) == PASSES
    assert outcome(DAILY, proof=fresh, now=NOW + timedelta(seconds=60)) == LACKING


def test_the_end_of_a_list_is_looked_at_in_time() -> None:
    fresh = proof(crl=revocation_list(NOW - DAY + timedelta(seconds=60)))
    made = case(policies={POLICY: DAILY}, proof=fresh)
    assert next_time(assess(made), NOW) == NOW + timedelta(seconds=60)


def test_a_pass_that_lives_is_kept_while_the_list_is_missing() -> None:
    passes = {POLICY: NOW + timedelta(seconds=60)}
    assert wanted(node=LABELLED, passes=passes) == ({GATE}, "NoSchedule")
    assert wanted(node=LABELLED, passes=passes, now=NOW + timedelta(seconds=60))[0] == set()


def test_a_pass_that_lives_gives_no_label_back() -> None:
    assert wanted(passes={POLICY: NOW + timedelta(seconds=60)})[0] == set()


def test_a_pass_of_a_longer_maximum_age_stands_no_longer_than_the_evidence() -> None:
    made = case(policies={POLICY: REQUIRED}, passes={POLICY: NOW + DAY})
    assert next_time(assess(made), NOW) == NOW + timedelta(seconds=900)


def test_the_message_says_until_when_a_pass_is_kept() -> None:
    message = judged(passes={POLICY: NOW + timedelta(seconds=60)}).attested.message
    assert "requires a revocation list" in message
    assert message.endswith("what was passed before counts until 2026-03-02T12:01:00Z")


def test_a_failed_check_outweighs_a_missing_list() -> None:
    assert outcome(proof=proof(bad=True)) == (Status.FALSE, Reason.CHECK_FAILED)


def test_a_missing_list_never_escalates() -> None:
    later = NOW + timedelta(days=30)
    fresh = proof(issued=later)
    assert wanted(proof=fresh, now=later, passes={POLICY: NOW}) == (set(), "NoSchedule")


def test_a_revoked_signer_is_nobodys_trouble_but_its_own() -> None:
    for mode in RevocationMode:
        found = outcome(asking(mode), proof=SignerRevoked("revoked"))
        assert found == (Status.FALSE, Reason.SIGNER_REVOKED)
    assert wanted(node=LABELLED, proof=SignerRevoked("revoked")) == (set(), "NoExecute")


OFF, PREFERRED = asking(RevocationMode.OFF), asking(RevocationMode.PREFERRED)
IN_FORCE = {"proof": proof(crl=revocation_list())}
CONDITIONS: list[tuple[str, Policy, dict[str, Any], Status, str]] = [
    ("in force", REQUIRED, IN_FORCE, Status.TRUE, "Current"),
    ("in force, preferred", PREFERRED, IN_FORCE, Status.TRUE, "Current"),
    ("in force, not asked for", OFF, IN_FORCE, Status.TRUE, "Current"),
    ("none, required", REQUIRED, {}, Status.FALSE, "EndorsementsUnavailable"),
    ("none, preferred", PREFERRED, {}, Status.UNKNOWN, "RevocationUnknown"),
    ("none, not asked for", OFF, {}, Status.TRUE, "Current"),
    ("too old", DAILY, IN_FORCE | {"now": NOW + DAY}, Status.FALSE, "EndorsementsUnavailable"),
    ("no evidence", REQUIRED, {"proof": None}, Status.UNKNOWN, "NoEvidence"),
    ("revoked", OFF, {"proof": SignerRevoked("no")}, Status.FALSE, "SignerRevoked"),
    ("forged", OFF, {"proof": RootUntrusted("no")}, Status.UNKNOWN, "RootUntrusted"),
]


@pytest.mark.parametrize(
    ("by", "changes", "status", "reason"),
    [each[1:] for each in CONDITIONS],
    ids=[each[0] for each in CONDITIONS],
)
def test_condition_endorsements_current(
    by: Policy, changes: dict[str, Any], status: Status, reason: str
) -> None:
    found = judged(by, **changes).endorsements_current
    assert (found.status, found.reason) == (status, reason)


def test_the_condition_says_until_when_the_list_counts() -> None:
    message = judged(DAILY, **IN_FORCE).endorsements_current.message
    assert message == (
        "the revocation list of 2026-03-02T12:00:00Z counts until 2026-03-03T12:00:00Z"
    )


def test_of_several_policies_the_most_demanding_decides() -> None:
    policies = {"a": policy("a"), "b": policy("b", revocation=REQUIRED.spec.revocation)}
    found = assess(case(policies=policies)).endorsements_current
    assert (found.status, found.reason) == (Status.FALSE, "EndorsementsUnavailable")


def test_without_a_policy_the_absence_of_a_list_is_told() -> None:
    assert assess(case(policies={})).endorsements_current.reason == "RevocationUnknown"


@pytest.fixture
def requiring(api: FakeApi) -> FakeApi:
    put_policy(api, revocation={"mode": "Required"})
    return api


async def test_a_revoked_signer_closes_its_node_as_soon_as_the_list_is_known(
    api: FakeApi, leader: Leader
) -> None:
    stored = evidence()
    put_record(api, evidence=stored)
    await leader.reconcile()
    assert labels_of(api) == {GATE}
    intermediate = load_certificates(stored.certificates[1:2])[0]
    leader.endorsements.learn(authority().issue_crl(NOW, [intermediate.serial]))
    await leader.reconcile()
    assert (labels_of(api), effects_of(api)) == (set(), ["NoExecute"])
    assert condition_of(api) == ("False", "SignerRevoked")
    assert condition_of(api, "EndorsementsCurrent") == ("False", "SignerRevoked")


def test_a_signer_that_intake_found_revoked_is_said_to_be_revoked() -> None:
    refused = LastRefusal(NOW, "SignerRevoked", "AMD has revoked the ASK certificate", 2)
    for shown in (None, SignerRevoked("AMD has revoked the ASK certificate")):
        found = outcome(proof=shown, record=record(last_refusal=refused))
        assert found == (Status.FALSE, Reason.SIGNER_REVOKED)


async def test_a_list_opens_the_nodes_that_waited_for_it(
    requiring: FakeApi, leader: Leader
) -> None:
    put_record(requiring, evidence=evidence())
    await leader.reconcile()
    assert condition_of(requiring) == ("Unknown", "EndorsementsUnavailable")
    leader.endorsements.learn(authority().issue_crl(NOW))
    await leader.reconcile()
    assert (labels_of(requiring), effects_of(requiring)) == ({GATE}, [])


async def test_fresh_evidence_does_not_lengthen_a_pass_without_a_list(
    requiring: FakeApi, leader: Leader
) -> None:
    leader.endorsements.learn(authority().issue_crl(NOW - LIST_LIFE + DAY + HOUR))
    put_record(requiring, evidence=evidence())
    await leader.reconcile()
    assert labels_of(requiring) == {GATE}
    leader.pass_by(hours=1)
    put_record(requiring, evidence=evidence(issued=leader.now - timedelta(seconds=1), sequence=2))
    await leader.reconcile()
    assert labels_of(requiring) == set()
    assert condition_of(requiring) == ("Unknown", "EndorsementsUnavailable")


async def test_a_pass_ends_as_it_would_have_with_the_list(
    requiring: FakeApi, leader: Leader
) -> None:
    leader.endorsements.learn(authority().issue_crl(NOW - LIST_LIFE + DAY + timedelta(minutes=10)))
    put_record(requiring, evidence=evidence())
    assert await leader.reconcile(NODE) == 600
    leader.pass_by(minutes=10)
    put_record(requiring, evidence=evidence(issued=leader.now, sequence=2))
    assert await leader.reconcile() == 300
    assert (labels_of(requiring), effects_of(requiring)) == ({GATE}, ["NoSchedule"])
    leader.pass_by(minutes=5)
    assert await leader.reconcile() is None
    assert (labels_of(requiring), effects_of(requiring)) == (set(), ["NoSchedule"])
