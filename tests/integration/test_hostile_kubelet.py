"""A kubelet that turns against us, with its own real identity, cannot keep or gain trust."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest

from cases.hammer import Hammer, condition
from cases.policy_case import GATE, OTHER_MEASUREMENT, PolicyCase, gate_labels
from nodeproof_dev.api import MERGE_PATCH, Api
from nodeproof_dev.attester import HandDrivenAttester
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.objects import NODES, attestation, node, taint_effect
from nodeproof_dev.process import wait_until

NewAttester = Callable[..., HandDrivenAttester]
SOON = 5.0
"""Seconds within which a hostile node must have lost its label."""

POISON = "9999-12-31T23:59:59-05:00"
"""The API server stores this as a time of the year 10000."""

HOLD = {"metadata": {"finalizers": ["example.org/hold"]}}
FINALIZER = "ownerReferences and finalizers of a Node are set neither by its kubelet"


def test_it_cannot_give_itself_the_label(attester: NewAttester, case: PolicyCase) -> None:
    policy = case.policy()
    one = attester()
    patch = {"metadata": {"labels": {GATE + policy: "true"}}}
    for path in (node(one.name), f"{node(one.name)}/status"):
        assert "is not allowed to modify labels" in forbidden(one.node.api, path, patch)


def test_it_cannot_register_with_the_label(plane: ControlPlane, unique_name: str) -> None:
    body = document(unique_name, labels={f"{GATE}confidential": "true"})
    status, answer = kubelet(plane, unique_name).call("POST", NODES, body)
    assert status == HTTPStatus.FORBIDDEN
    assert "is not allowed to set the following labels" in answer["message"]


def test_it_cannot_remove_the_taint(attester: NewAttester, case: PolicyCase) -> None:
    case.policy()
    one = attester(measurement=OTHER_MEASUREMENT)
    one.attest()
    case.wait_taint(one.name, "NoExecute")
    message = forbidden(one.node.api, node(one.name), {"spec": {"taints": []}})
    assert "is not allowed to modify taints" in message


def test_it_cannot_state_a_time_of_year_10000(attester: NewAttester) -> None:
    one = attester()
    message = forbidden(one.node.api, f"{node(one.name)}/status", poisoned())
    assert "a condition time outside the years 1900 to 2199" in message


def test_it_cannot_have_its_node_garbage_collected(plane: ControlPlane, unique_name: str) -> None:
    """By an owner of its own making: the Node would come back without our taint."""
    owner = {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "name": "own", "uid": "u"}
    body = document(unique_name, ownerReferences=[owner])
    status, answer = kubelet(plane, unique_name).call("POST", NODES, body)
    assert status == HTTPStatus.FORBIDDEN
    assert FINALIZER in answer["message"]


def test_it_cannot_hold_its_node_with_a_finalizer(attester: NewAttester) -> None:
    one = attester()
    assert FINALIZER in forbidden(one.node.api, node(one.name), HOLD)


def test_it_cannot_write_its_own_result(attester: NewAttester, case: PolicyCase) -> None:
    case.policy()
    one = attester()
    case.wait_attested(one.name, "Unknown", "NoEvidence")
    path = f"{attestation(one.name)}/status"
    assert "cannot patch resource" in forbidden(one.node.api, path, {"status": {"signer": "VCEK"}})


def test_a_poisoned_node_loses_its_label_and_others_are_attested(
    attester: NewAttester, case: PolicyCase, node_rules_lifted: None
) -> None:
    assert node_rules_lifted is None
    policy = case.policy()
    one, other = attester("poisoned"), attester("other")
    one.attest()
    case.wait_label(one.name, policy)
    one.node.api.merge_patch(f"{node(one.name)}/status", poisoned())
    assert unpatchable(one.node)
    fail(one)
    assert gate_labels(case.wait_taint(one.name, "NoExecute")) == set()
    assert unpatchable(one.node)
    other.attest()
    case.wait_label(other.name, policy)


def test_a_deleted_node_that_its_kubelet_holds_loses_its_label(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane, node_rules_lifted: None
) -> None:
    assert node_rules_lifted is None
    policy = case.policy()
    one, other = attester("held"), attester("other")
    one.attest()
    case.wait_label(one.name, policy)
    one.node.api.merge_patch(node(one.name), HOLD)
    try:
        plane.admin.delete(node(one.name))
        held = case.wait_no_label(one.name, policy, SOON)
        assert "deletionTimestamp" in held["metadata"]
        other.attest()
        case.wait_label(other.name, policy)
    finally:
        plane.admin.merge_patch(node(one.name), {"metadata": {"finalizers": None}})


def test_writing_its_status_all_the_time_does_not_keep_the_label(
    attester: NewAttester, case: PolicyCase
) -> None:
    policy = case.policy()
    one, other = attester("busy"), attester("other")
    one.attest()
    case.wait_label(one.name, policy)
    with Hammer(one.node) as hammer:
        wait_until(lambda: hammer.writes >= 50, seconds=SOON, what="the kubelet's writes")
        fail(one)
        case.wait_no_label(one.name, policy, SOON)
        case.wait_taint(one.name, "NoExecute")
        other.attest()
        case.wait_label(other.name, policy)
        before = hammer.writes
        wait_until(lambda: hammer.writes > before, seconds=SOON, what="still writing")
    assert set(hammer.answers) == {HTTPStatus.OK}


def test_a_node_that_relabels_itself_out_of_the_selector_loses_the_label(
    attester: NewAttester, case: PolicyCase, selector_label: str
) -> None:
    policy = case.policy()
    one = attester()
    one.attest()
    case.wait_label(one.name, policy)
    one.node.api.merge_patch(node(one.name), {"metadata": {"labels": {selector_label: "no"}}})
    case.wait_attested(one.name, "Unknown", "SelectorLeft")
    assert gate_labels(case.wait_taint(one.name, "NoSchedule")) == set()


def test_a_failed_node_that_relabels_itself_keeps_its_taint(
    attester: NewAttester, case: PolicyCase, selector_label: str
) -> None:
    policy = case.policy()
    one = attester(measurement=OTHER_MEASUREMENT)
    one.attest()
    case.wait_taint(one.name, "NoExecute")
    one.node.api.merge_patch(node(one.name), {"metadata": {"labels": {selector_label: "no"}}})
    message = case.wait_attested(one.name, "Unknown", "SelectorLeft")["message"]
    assert "delete its NodeAttestation if that is meant" in message
    case.wait_counts(policy, matching=0, attested=0)
    assert taint_effect(one.node.api.get(node(one.name))) == "NoExecute"


def test_a_node_that_is_created_anew_under_the_same_name_inherits_no_label(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    policy = case.policy()
    one = attester()
    one.attest()
    case.wait_label(one.name, policy)
    plane.admin.delete(node(one.name))
    one.node.register()
    uid = plane.admin.get(node(one.name))["metadata"]["uid"]
    plane.admin.wait_for(
        attestation(one.name), lambda seen: seen.get("spec", {}).get("nodeUID") == uid
    )
    case.wait_attested(one.name, "Unknown", "NoEvidence")
    assert gate_labels(case.wait_taint(one.name, "NoSchedule")) == set()


@pytest.fixture
def selector_label(case: PolicyCase) -> Iterator[str]:
    """The label by which this test's policies select."""
    yield from case.selector


def kubelet(plane: ControlPlane, name: str) -> Api:
    return plane.identity(f"system:node:{name}", ("system:nodes",))


def document(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name} | metadata}


def forbidden(api: Api, path: str, patch: dict[str, Any]) -> str:
    """Try a merge patch that must be refused; return what the API server says."""
    status, answer = api.call("PATCH", path, patch, content_type=MERGE_PATCH)
    assert status == HTTPStatus.FORBIDDEN
    return str(answer["message"])


def poisoned() -> dict[str, Any]:
    return condition("Poison", POISON)


def unpatchable(hostile: SimulatedNode) -> bool:
    """Whether an ordinary patch of the Node comes to nothing, as its kubelet has wished."""
    patch = {"metadata": {"labels": {"example.org/harmless": "yes"}}}
    status, _ = hostile.api.call("PATCH", hostile.path, patch, content_type=MERGE_PATCH)
    return status == HTTPStatus.UNPROCESSABLE_ENTITY


def fail(one: HandDrivenAttester) -> None:
    """Attest with a measurement that no reference value names."""
    one.machine = replace(one.machine, measurement=OTHER_MEASUREMENT)
    assert one.attest().status == HTTPStatus.OK
