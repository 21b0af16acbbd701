from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fakes.enforcement import (
    GATE,
    NOW,
    POLICY,
    TAINT,
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
from nodeproof.errors import ChallengeForged
from nodeproof.policy import (
    CPUModelName,
    EnforcementRules,
    FirmwareMinimum,
    FirmwareRules,
    SignerRules,
    TaintEffect,
)
from nodeproof.result import Outcome, Reason, Status
from nodeproof_operator.enforcement.desired import (
    DesiredNode,
    Lower,
    Raise,
    change,
    desired,
    next_time,
)
from nodeproof_operator.enforcement.result import assess
from nodeproof_operator.enforcement.selection import gate_label

AFTER_EXPIRY = NOW + timedelta(seconds=901)
AFTER_GRACE = NOW + timedelta(seconds=1200)
LABELLED = node(labels={GATE: "true"})
CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": ""}
NAMED = record(policies=(result_of(),))
LEFT = {POLICY: elsewhere()}
SINCE = NOW - timedelta(seconds=301)
SOFT = EnforcementRules(TaintEffect.NO_SCHEDULE, 0)


def wanted(**changes: Any) -> tuple[set[str], str | None] | None:
    """Return the desired labels and taint effect in a case; None if it is left alone."""
    made = case(**changes)
    found = desired(made.node, assess(made), made.now)
    return (set(found.gate_labels), found.taint_effect) if found else None


CASES: list[tuple[str, dict[str, Any], tuple[set[str], str | None] | None]] = [
    ("passes", {}, ({GATE}, None)),
    ("passes again", {"node": tainted("NoExecute")}, ({GATE}, None)),
    ("fails", {"proof": proof(bad=True), "node": LABELLED}, (set(), "NoExecute")),
    (
        "fails softly",
        {"proof": proof(bad=True), "policies": {POLICY: policy(enforcement=SOFT)}},
        (set(), "NoSchedule"),
    ),
    (
        "failure effect was softened",
        {
            "proof": proof(bad=True),
            "policies": {POLICY: policy(enforcement=SOFT)},
            "node": tainted("NoExecute"),
        },
        (set(), "NoSchedule"),
    ),
    ("not genuine", {"proof": ChallengeForged("no"), "node": LABELLED}, (set(), "NoExecute")),
    ("never attested", {"proof": None, "now": AFTER_GRACE}, (set(), "NoSchedule")),
    ("expired", {"now": AFTER_EXPIRY, "node": LABELLED}, (set(), "NoSchedule")),
    ("expired, grace over", {"now": AFTER_GRACE}, (set(), "NoExecute")),
    ("rebooted", {"node": node(boot_id="x", labels={GATE: "true"})}, (set(), "NoSchedule")),
    (
        "rebooted long ago",
        {
            "node": node(boot_id="x"),
            "record": record(conditions=attested(Status.UNKNOWN, SINCE)),
        },
        (set(), "NoExecute"),
    ),
    (
        "rebooted long ago, as a status forged to the future has it",
        {
            "node": node(boot_id="x"),
            "record": record(conditions=attested(Status.UNKNOWN, NOW + timedelta(days=9))),
            "now": AFTER_GRACE,
        },
        (set(), "NoExecute"),
    ),
    (
        "silence does not soften a taint",
        {"proof": None, "node": tainted("NoExecute")},
        (set(), "NoExecute"),
    ),
    (
        "values missing, no pass seen",
        {"reference_values": {}, "node": LABELLED},
        (set(), "NoSchedule"),
    ),
    (
        "values missing, pass stands",
        {
            "reference_values": {},
            "node": LABELLED,
            "passes": {POLICY: NOW + timedelta(seconds=1)},
        },
        ({GATE}, "NoSchedule"),
    ),
    (
        "values missing, pass has ended",
        {"reference_values": {}, "node": LABELLED, "passes": {POLICY: NOW}},
        (set(), "NoSchedule"),
    ),
    (
        "values missing, pass stands, but no label",
        {"reference_values": {}, "passes": {POLICY: NOW + timedelta(seconds=1)}},
        (set(), "NoSchedule"),
    ),
    (
        "values missing, pass stands, but another boot",
        {
            "reference_values": {},
            "node": node(labels={GATE: "true"}, boot_id="x"),
            "passes": {POLICY: NOW + timedelta(seconds=1)},
        },
        (set(), "NoSchedule"),
    ),
    (
        "values missing, pass of a longer maximum age stands no longer than the evidence",
        {
            "reference_values": {},
            "node": LABELLED,
            "passes": {POLICY: NOW + timedelta(days=1)},
            "now": AFTER_EXPIRY,
        },
        (set(), "NoSchedule"),
    ),
    (
        "our trouble never escalates",
        {"reference_values": {}, "now": NOW + timedelta(days=1)},
        (set(), "NoSchedule"),
    ),
    (
        "policy unreadable, pass stands",
        {
            "policies": {POLICY: UNREADABLE},
            "node": LABELLED,
            "passes": {POLICY: NOW + timedelta(seconds=1)},
        },
        ({GATE}, "NoSchedule"),
    ),
    (
        "unreadable policy keeps the taint it may have set",
        {
            "policies": {POLICY: UNREADABLE},
            "node": tainted("NoExecute"),
            "record": NAMED,
        },
        (set(), "NoExecute"),
    ),
    ("never matched", {"policies": LEFT, "node": tainted("NoSchedule")}, None),
    ("audited only", {"policies": {POLICY: audit()}, "node": tainted("NoSchedule")}, None),
    (
        "audited before and now",
        {"policies": {POLICY: audit()}, "node": tainted("NoSchedule"), "record": NAMED},
        None,
    ),
    (
        "relabelled itself out",
        {"policies": LEFT, "record": NAMED, "node": LABELLED},
        (set(), "NoSchedule"),
    ),
    (
        "relabelled itself out while failing",
        {"policies": LEFT, "record": NAMED, "node": tainted("NoExecute")},
        (set(), "NoExecute"),
    ),
    (
        "relabelled itself out before its taint was set",
        {"policies": LEFT, "record": NAMED, "proof": proof(bad=True)},
        (set(), "NoExecute"),
    ),
    (
        "relabelled itself out long ago",
        {
            "policies": LEFT,
            "record": record(
                policies=(result_of(outcome=Outcome.UNKNOWN, reason=Reason.SELECTOR_LEFT),),
                conditions=attested(Status.UNKNOWN, SINCE),
            ),
        },
        (set(), "NoExecute"),
    ),
    (
        "had left before the policy was edited",
        {
            "policies": {POLICY: elsewhere(generation=2)},
            "record": record(policies=(result_of(reason=Reason.SELECTOR_LEFT),)),
            "node": tainted("NoExecute"),
        },
        (set(), "NoExecute"),
    ),
    (
        "policy was narrowed",
        {
            "policies": {POLICY: elsewhere(generation=2)},
            "record": NAMED,
            "node": tainted("NoExecute", labels={GATE: "true"}),
        },
        (set(), None),
    ),
    (
        "policy was deleted",
        {"policies": {}, "record": NAMED, "node": tainted("NoExecute")},
        (set(), None),
    ),
    ("only the label tells of a policy", {"policies": {}, "node": LABELLED}, (set(), None)),
    (
        "policy was turned to Audit",
        {
            "policies": {POLICY: audit(generation=2)},
            "record": NAMED,
            "node": tainted("NoExecute"),
        },
        (set(), None),
    ),
    (
        "NodeAttestation was deleted by an admin",
        {
            "policies": LEFT,
            "record": None,
            "proof": None,
            "node": tainted("NoExecute"),
            "known_record_uid": "earlier",
        },
        (set(), None),
    ),
    (
        "policy was deleted, another fails",
        {
            "policies": {"b": policy("b", signer=SignerRules())},
            "record": NAMED,
            "node": LABELLED,
        },
        (set(), "NoExecute"),
    ),
    (
        "passes one, fails another",
        {"policies": {POLICY: policy(), "b": policy("b", signer=SignerRules())}},
        ({GATE}, "NoExecute"),
    ),
    (
        "control plane fails",
        {"proof": proof(bad=True), "node": node(labels=CONTROL_PLANE | {GATE: "true"})},
        (set(), None),
    ),
    ("control plane passes", {"node": node(labels=CONTROL_PLANE)}, ({GATE}, None)),
    ("being deleted", {"node": node(deleting=True, labels={GATE: "true"})}, (set(), None)),
    (
        "being deleted, taint stays",
        {"node": tainted("NoExecute", deleting=True)},
        (set(), "NoExecute"),
    ),
    (
        "being deleted, matched by nothing",
        {"policies": {}, "node": node(deleting=True, labels={GATE: "true"})},
        (set(), None),
    ),
]


@pytest.mark.parametrize(
    ("changes", "expected"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)
def test_desired_node(
    changes: dict[str, Any], expected: tuple[set[str], str | None] | None
) -> None:
    assert wanted(**changes) == expected


def test_other_nodes_gate_label_does_not_count_for_this_policy() -> None:
    made = case(policies={"b": policy("b")}, node=LABELLED)
    assert wanted(policies={"b": policy("b")}, node=LABELLED) == ({gate_label("b")}, None)
    assert made.node.gate_labels


def both(labels: set[str], effect: str | None) -> DesiredNode:
    return DesiredNode(frozenset(labels), effect)


@pytest.mark.parametrize(
    ("view", "target", "expected"),
    [
        (LABELLED, both({GATE}, None), None),
        (node(), both({GATE}, None), Raise(frozenset({GATE}), None)),
        (tainted("NoExecute"), both({GATE}, None), Raise(frozenset({GATE}), None)),
        (tainted("NoExecute"), both(set(), "NoSchedule"), Raise(frozenset(), "NoSchedule")),
        (tainted("PreferNoSchedule"), both(set(), None), Raise(frozenset(), None)),
        (node(labels={GATE: "no"}), both({GATE}, None), Raise(frozenset({GATE}), None)),
        (LABELLED, both(set(), "NoExecute"), Lower(frozenset({GATE}), "NoExecute")),
        (LABELLED, both(set(), None), Lower(frozenset({GATE}))),
        (tainted("NoSchedule"), both(set(), "NoExecute"), Lower(frozenset(), "NoExecute")),
        (LABELLED, both({gate_label("b")}, None), Lower(frozenset({GATE}))),
        (node(), both({GATE}, "NoSchedule"), Lower(frozenset(), "NoSchedule")),
        (tainted("NoSchedule"), both(set(), "NoSchedule"), None),
    ],
)
def test_change_lowers_before_it_raises(view: Any, target: DesiredNode, expected: Any) -> None:
    assert change(view, target) == expected


def test_passing_node_is_looked_at_again_when_its_result_expires() -> None:
    made = case()
    assert next_time(assess(made), NOW) == NOW + timedelta(seconds=900)


def test_passing_node_is_looked_at_again_when_a_reference_value_ends() -> None:
    ends = NOW + timedelta(seconds=10)
    assert next_time(assess(case(reference_values={"values": values(ends)})), NOW) == ends


def test_passing_node_is_looked_at_again_when_a_firmware_minimum_takes_effect() -> None:
    begins = NOW + timedelta(seconds=10)
    minimum = FirmwareMinimum(cpu_model=CPUModelName.MILAN, effective_time=begins)
    scheduled = policy(firmware=FirmwareRules(minimums=(minimum,)))
    assert next_time(assess(case(policies={POLICY: scheduled})), NOW) == begins


def test_expired_node_is_looked_at_again_when_its_grace_ends() -> None:
    made = case(now=AFTER_EXPIRY)
    assert next_time(assess(made), made.now) == AFTER_GRACE


def test_node_in_trouble_is_looked_at_again_when_its_evidence_is_too_old() -> None:
    made = case(reference_values={}, passes={POLICY: NOW + timedelta(days=1)})
    assert next_time(assess(made), NOW) == NOW + timedelta(seconds=900)


def test_node_that_never_attested_waits_for_no_time() -> None:
    assert next_time(assess(case(proof=None)), NOW) is None


def test_grace_of_an_expired_node_begins_when_it_expired() -> None:
    earlier_trouble = record(conditions=attested(Status.UNKNOWN, NOW - timedelta(hours=1)))
    assert wanted(now=AFTER_EXPIRY, record=earlier_trouble) == (set(), "NoSchedule")


def test_taint_of_ours_is_recognised_by_its_key_alone() -> None:
    foreign = ({"key": "example.com/" + TAINT, "effect": "NoExecute"},)
    assert change(node(taints=foreign), both(set(), None)) is None
