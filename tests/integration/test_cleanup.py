"""``nodeproof-operator cleanup`` beside a leader that would label every node again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cases.hammer import Hammer
from cases.leading import free_lease, leads, wait_leads
from cases.one_shot import finish, run, start
from cases.policy_case import GATE, OTHER_MEASUREMENT, PolicyCase, gate_labels
from nodeproof_dev.api import MERGE_PATCH, Api
from nodeproof_dev.attester import HandDrivenAttester
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.objects import LEASE, attestation, lease_holder, node, taint_effect
from nodeproof_dev.operator_process import OperatorProcess
from nodeproof_dev.process import wait_until

NewAttester = Callable[..., HandDrivenAttester]
FOREIGN = [
    {"key": "example.org/one", "effect": "PreferNoSchedule"},
    {"key": "example.org/two", "effect": "PreferNoSchedule", "value": "kept"},
]


@pytest.fixture(autouse=True)
def leader(own_plane: ControlPlane, nodeproof_operator: OperatorProcess) -> Iterator[None]:
    """The run's operator, which leads before and after; never on a cluster that is in use."""
    wait_leads(own_plane, nodeproof_operator)
    yield
    free_lease(own_plane)
    wait_leads(own_plane, nodeproof_operator)


def test_nothing_of_ours_is_left_and_the_leader_puts_none_of_it_back(
    attester: NewAttester,
    case: PolicyCase,
    plane: ControlPlane,
    nodeproof_operator: OperatorProcess,
) -> None:
    policy = case.policy()
    good, bad = attester("good"), attester("bad", measurement=OTHER_MEASUREMENT)
    assert good.attest().status == 200
    assert bad.attest().status == 200
    case.wait_label(good.name, policy)
    plane.admin.merge_patch(node(bad.name), {"spec": {"taints": tainted(plane, bad.name)}})
    case.wait_taint(bad.name, "NoExecute")

    ran = run(plane, "cleanup")

    assert ran.status == 0, ran.out
    assert f"node {good.name}: removed label {GATE}{policy}" in ran.out
    assert f"node {bad.name}: removed taint nodeproof.dev/unattested:NoExecute" in ran.out
    assert f"{nodeproof_operator.name} held it" in ran.out
    # Evidence goes on coming in, and a leader would act on it.
    assert good.attest().status == 200
    assert not leads(nodeproof_operator)
    assert marks(plane, good.name) == (set(), "")
    assert marks(plane, bad.name) == (set(), "")
    ours = plane.admin.get(node(bad.name))["spec"]["taints"]
    assert [each for each in ours if each["key"].startswith("example.org/")] == FOREIGN
    assert plane.admin.get(attestation(good.name))["status"]["evidence"]
    lease = plane.admin.get(LEASE)
    assert lease_holder(lease).startswith("cleanup-")
    assert lease["spec"]["leaseDurationSeconds"] == 60


def test_a_node_that_writes_its_status_all_the_time_keeps_nothing(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    policy = case.policy()
    one = attester("busy", measurement=OTHER_MEASUREMENT)
    one.attest()
    case.wait_taint(one.name, "NoExecute")
    running = start(plane, "cleanup", "--results=delete")
    wait_until(
        lambda: lease_holder(plane.admin.get(LEASE)).startswith("cleanup-"),
        seconds=20,
        what="the Lease to be taken",
    )
    # As if an old leader had set it a moment before its end.
    label = {"metadata": {"labels": {GATE + policy: "true"}}}
    plane.admin.merge_patch(node(one.name), label)
    with Hammer(one.node) as hammer:
        ran = finish(running)
        assert hammer.writes > 50
    assert ran.status == 0, ran.out
    assert marks(plane, one.name) == (set(), "")
    assert plane.admin.find(attestation(one.name)) is None


def test_half_a_cleanup_says_so_and_lets_the_operator_go_on(
    attester: NewAttester,
    case: PolicyCase,
    plane: ControlPlane,
    nodeproof_operator: OperatorProcess,
    unique_name: str,
) -> None:
    policy = case.policy()
    good, held = attester("good"), attester("held")
    for each in (good, held):
        assert each.attest().status == 200
        case.wait_label(each.name, policy)
    with_rule = refusing(unique_name, held.name)
    for document in with_rule:
        plane.admin.apply(document)
    try:
        cleanup = Api(plane.service_account("nodeproof-system", "nodeproof-cleanup"))
        wait_until(lambda: refused(cleanup, held.name), seconds=30, what="the rule to act")
        ran = run(plane, "cleanup")
    finally:
        for document in with_rule:
            plane.admin.delete(plane.admin.path_of(document))
    assert ran.status == 1
    assert f"FAILED: node {held.name} may still carry our labels or taint: Forbidden" in ran.out
    assert "the Lease is given back" in ran.out
    wait_leads(plane, nodeproof_operator)
    case.wait_label(good.name, policy)


def test_without_its_rights_it_says_so_and_takes_nothing(
    plane: ControlPlane, nodeproof_operator: OperatorProcess
) -> None:
    """A check's account stands for a cleanup whose Role was forgotten."""
    kubeconfig = plane.service_account_kubeconfig("nodeproof-system", "nodeproof-check")
    ran = run(plane, "cleanup", f"--kubeconfig={kubeconfig}")
    assert ran.status == 1
    assert "FAILED: Forbidden" in ran.out
    assert leads(nodeproof_operator)


def tainted(plane: ControlPlane, name: str) -> list[dict[str, Any]]:
    return [*FOREIGN, *plane.admin.get(node(name))["spec"].get("taints", [])]


def marks(plane: ControlPlane, name: str) -> tuple[set[str], str]:
    """Return our labels and our taint's effect on a Node."""
    seen = plane.admin.get(node(name))
    return gate_labels(seen), taint_effect(seen)


def refusing(name: str, node_name: str) -> list[dict[str, Any]]:
    """Return a rule by which the cleanup may not write one Node."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["nodes"],
        "resourceNames": [node_name],
    }
    account = "system:serviceaccount:nodeproof-system:nodeproof-cleanup"
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [
            {"expression": f"request.userInfo.username != '{account}'", "reason": "Forbidden"}
        ],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return [
        kind | {"kind": "ValidatingAdmissionPolicy", "spec": policy},
        kind | {"kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    ]


def refused(cleanup: Api, name: str) -> bool:
    status, _ = cleanup.call("PATCH", f"{node(name)}?dryRun=All", {}, content_type=MERGE_PATCH)
    return status == 403
