from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fakes.enforcement import (
    GATE,
    NOW,
    POLICY,
    UNREADABLE,
    attested,
    audit,
    case,
    elsewhere,
    node,
    policy,
    proof,
    record,
    result_of,
    tainted,
    values,
)
from nodeproof.checks import CATALOGUE
from nodeproof.errors import (
    ChallengeForged,
    IdentityMismatch,
    RootUntrusted,
    SignatureInvalid,
    SignerRevoked,
)
from nodeproof.policy import FreshnessRules, SignerKind, SignerRules
from nodeproof.result import LastRefusal, NodeAttestationStatus, Reason, Status
from nodeproof_operator.enforcement.errors import ChallengeKeyUnknown
from nodeproof_operator.enforcement.result import Assessment, assess, needs_writing

LATER = NOW + timedelta(seconds=901)


def refusals(count: int) -> LastRefusal:
    return LastRefusal(NOW, "SignatureInvalid", "not signed", count, "this key", "another")


def stored(assessment: Assessment) -> NodeAttestationStatus:
    return NodeAttestationStatus(
        conditions=assessment.conditions,
        policies=assessment.policies,
        signer=assessment.signer,
        expiration_time=assessment.expiration_time,
    )


CASES: list[tuple[str, dict[str, Any], Status, Reason]] = [
    ("passes", {}, Status.TRUE, Reason.ATTESTED),
    ("other image", {"proof": proof(bad=True)}, Status.FALSE, Reason.CHECK_FAILED),
    ("no record", {"record": None, "proof": None}, Status.UNKNOWN, Reason.NO_EVIDENCE),
    ("no evidence", {"proof": None}, Status.UNKNOWN, Reason.NO_EVIDENCE),
    ("another's", {"proof": IdentityMismatch("no")}, Status.FALSE, Reason.IDENTITY_MISMATCH),
    ("forged", {"proof": ChallengeForged("no")}, Status.FALSE, Reason.NOT_GENUINE),
    ("not signed", {"proof": SignatureInvalid("no")}, Status.FALSE, Reason.NOT_GENUINE),
    ("revoked", {"proof": SignerRevoked("no")}, Status.FALSE, Reason.SIGNER_REVOKED),
    ("key lost", {"proof": ChallengeKeyUnknown("no")}, Status.UNKNOWN, Reason.NO_EVIDENCE),
    ("refused once", {"record": record(last_refusal=refusals(1))}, Status.TRUE, Reason.ATTESTED),
    (
        "refused twice",
        {"record": record(last_refusal=refusals(2))},
        Status.FALSE,
        Reason.NOT_GENUINE,
    ),
    (
        "refused twice, never accepted",
        {"record": record(last_refusal=refusals(2)), "proof": None},
        Status.FALSE,
        Reason.NOT_GENUINE,
    ),
    ("rebooted", {"node": node(boot_id="other")}, Status.UNKNOWN, Reason.NODE_REBOOTED),
    ("boot not stated", {"node": node(boot_id="")}, Status.TRUE, Reason.ATTESTED),
    ("expired", {"now": LATER}, Status.UNKNOWN, Reason.EXPIRED),
    (
        "failed, then expired",
        {"proof": proof(bad=True), "now": LATER},
        Status.FALSE,
        Reason.CHECK_FAILED,
    ),
    (
        "failed, then rebooted",
        {"proof": proof(bad=True), "node": node(boot_id="other")},
        Status.FALSE,
        Reason.CHECK_FAILED,
    ),
    ("from the future", {"now": NOW - timedelta(seconds=6)}, Status.UNKNOWN, Reason.NO_EVIDENCE),
    ("clocks a little apart", {"now": NOW - timedelta(seconds=5)}, Status.TRUE, Reason.ATTESTED),
    (
        "values missing",
        {"reference_values": {}},
        Status.UNKNOWN,
        Reason.REFERENCE_VALUES_MISSING,
    ),
    (
        "values unreadable",
        {"reference_values": {"values": UNREADABLE}},
        Status.UNKNOWN,
        Reason.REFERENCE_VALUES_MISSING,
    ),
    (
        "policy unreadable",
        {"policies": {POLICY: UNREADABLE}, "node": node(labels={GATE: "true"})},
        Status.UNKNOWN,
        Reason.POLICY_INVALID,
    ),
    (
        "left the selector",
        {"policies": {POLICY: elsewhere()}, "record": record(policies=(result_of(),))},
        Status.UNKNOWN,
        Reason.SELECTOR_LEFT,
    ),
    ("no policy", {"policies": {}}, Status.UNKNOWN, Reason.NOT_SELECTED),
    ("audited only", {"policies": {POLICY: audit()}}, Status.TRUE, Reason.ATTESTED),
    (
        "passes one, fails another",
        {"policies": {"a": policy("a"), "b": policy("b", signer=SignerRules())}},
        Status.FALSE,
        Reason.CHECK_FAILED,
    ),
    (
        "passes, fails in audit",
        {
            "policies": {"a": policy("a"), "b": audit("b")},
            "reference_values": {"values": values()},
        },
        Status.TRUE,
        Reason.ATTESTED,
    ),
]


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [each[1:] for each in CASES],
    ids=[each[0] for each in CASES],
)
def test_condition_attested(changes: dict[str, Any], status: Status, reason: Reason) -> None:
    condition = assess(case(**changes)).attested
    assert (condition.status, condition.reason) == (status, reason)


def test_message_names_policy_check_expectation_and_observation() -> None:
    message = assess(case(proof=proof(bad=True))).attested.message
    for fact in ("policy confidential", "check Measurement", "expected the only value", "observed"):
        assert fact in message


def test_message_says_that_a_simulated_platform_proves_nothing() -> None:
    assert "simulated platform: not a proof" in assess(case()).attested.message


def test_message_tells_why_the_last_submission_was_refused() -> None:
    message = assess(case(record=record(last_refusal=refusals(1)), proof=None)).attested.message
    assert "SignatureInvalid: not signed (expected this key, observed another)" in message


def test_message_names_the_missing_reference_values() -> None:
    assert "ReferenceValueSet values" in assess(case(reference_values={})).attested.message


def test_boot_id_of_any_length_makes_a_bounded_message() -> None:
    assert len(assess(case(node=node(boot_id="x" * 1_000_000))).attested.message) < 1024


def test_root_that_is_not_trusted_is_named() -> None:
    found = assess(case(proof=RootUntrusted("chain ends elsewhere")))
    assert found.attested.reason == Reason.NOT_GENUINE
    assert "RootUntrusted" in found.attested.message
    assert found.evidence_verified.reason == "RootUntrusted"


def test_evidence_is_verified_although_a_check_fails() -> None:
    assert assess(case(proof=proof(bad=True))).evidence_verified.status is Status.TRUE


def test_failed_check_is_listed_and_passed_ones_are_counted() -> None:
    (result,) = assess(case(proof=proof(bad=True))).policies
    assert [each.id for each in result.failed_checks] == ["Measurement"]
    assert result.passed_checks == len(CATALOGUE) - 1
    assert result.signer == SignerKind.SIMULATED


def test_expiration_is_the_earliest_end_of_the_enforced_passes() -> None:
    short = policy("b", freshness=FreshnessRules(10, 60))
    found = assess(case(policies={"a": policy("a"), "b": short}))
    assert found.expiration_time == NOW + timedelta(seconds=60)


def test_transition_time_stays_while_the_status_stays() -> None:
    since = NOW - timedelta(hours=1)
    found = assess(case(record=record(conditions=attested(Status.TRUE, since))))
    assert found.attested.last_transition_time == since


def test_transition_time_of_a_stored_status_is_never_in_the_future() -> None:
    ahead = NOW + timedelta(days=365)
    found = assess(case(record=record(conditions=attested(Status.TRUE, ahead))))
    assert found.attested.last_transition_time == NOW


def test_transition_time_is_now_when_the_status_changes() -> None:
    since = NOW - timedelta(hours=1)
    found = assess(case(record=record(conditions=attested(Status.FALSE, since))))
    assert found.attested.last_transition_time == NOW


def test_same_result_needs_no_writing() -> None:
    assert not needs_writing(stored(assess(case())), assess(case()), NOW)


def test_fresh_evidence_alone_needs_no_writing() -> None:
    before, soon = stored(assess(case())), NOW + timedelta(seconds=300)
    assert not needs_writing(before, assess(case(proof=proof(issued=soon), now=soon)), soon)


def test_expiration_time_is_renewed_before_it_passes() -> None:
    before, later = stored(assess(case())), NOW + timedelta(seconds=600)
    assert needs_writing(before, assess(case(proof=proof(issued=later), now=later)), later)


def test_new_generation_of_a_policy_needs_writing() -> None:
    after = assess(case(policies={POLICY: policy(generation=2)}))
    assert needs_writing(stored(assess(case())), after, NOW)


def test_result_of_more_policies_than_a_status_holds_keeps_the_worst() -> None:
    many = {f"p{number}": policy(f"p{number}") for number in range(70)}
    found = assess(case(policies=many | {"z": policy("z", signer=SignerRules())}))
    assert len(found.policies) == 64
    assert found.policies[-1].name == "z"


def test_unreadable_policy_that_never_touched_the_node_has_no_say() -> None:
    assert assess(case(policies={"other": UNREADABLE}, node=tainted("NoSchedule"))).verdicts == ()
