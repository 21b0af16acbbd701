"""What evidence and policies make of a Node: its labels, its taint, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cases.challenge_keys import attest_slowly
from cases.metrics_page import sample
from cases.policy_case import GATE, OTHER_MEASUREMENT, PolicyCase, gate_labels
from nodeproof.sevsnp.simulator.processor import MEASUREMENT
from nodeproof_dev.attester import HandDrivenAttester
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.objects import TAINT, attestation, is_running, node, taint_effect, unschedulable
from nodeproof_dev.operator_process import OperatorProcess
from nodeproof_dev.process import wait_until

NewAttester = Callable[..., HandDrivenAttester]


def test_a_node_that_passes_gets_the_policys_label_and_loses_the_taint(
    attester: NewAttester, case: PolicyCase
) -> None:
    policy = case.policy()
    one = attester()
    case.wait_taint(one.name, "NoSchedule")
    assert one.attest().status == 200
    case.wait_attested(one.name, "True", "Attested")
    assert gate_labels(case.wait_label(one.name, policy)) == {GATE + policy}
    case.wait_taint(one.name, "")


def test_another_launch_measurement_evicts_and_says_what_was_expected_and_observed(
    attester: NewAttester, case: PolicyCase
) -> None:
    case.policy()
    one = attester(measurement=OTHER_MEASUREMENT)
    one.attest()
    message = case.wait_attested(one.name, "False", "CheckFailed")["message"]
    assert "check Measurement failed" in message
    assert f"expected the only value of {case.name}: {MEASUREMENT.hex()[:16]}" in message
    assert f"observed {OTHER_MEASUREMENT.hex()[:16]}" in message
    seen = case.wait_taint(one.name, "NoExecute")
    assert gate_labels(seen) == set()
    assert all("timeAdded" in each for each in seen["spec"]["taints"] if each["key"] == TAINT)


def test_a_node_without_evidence_is_closed_to_new_pods(
    attester: NewAttester, case: PolicyCase
) -> None:
    case.policy()
    one = attester()
    case.wait_attested(one.name, "Unknown", "NoEvidence")
    assert gate_labels(case.wait_taint(one.name, "NoSchedule")) == set()


def test_simulated_evidence_counts_only_where_the_policy_allows_it(
    attester: NewAttester, case: PolicyCase
) -> None:
    case.policy(signer={"kinds": ["VCEK", "VLEK"], "cspIDs": ["CN=ours"]})
    one = attester()
    one.attest()
    case.wait_attested(one.name, "False", "CheckFailed")
    (result,) = case.status(one.name)["policies"]
    assert result["failedChecks"] == [
        {"id": "SignerKind", "expected": "VCEK or VLEK", "observed": "Simulated"}
    ]
    assert gate_labels(case.wait_taint(one.name, "NoExecute")) == set()


def test_a_simulated_platform_is_named_wherever_it_counts(
    attester: NewAttester, case: PolicyCase
) -> None:
    case.policy()
    one = attester()
    one.attest()
    message = case.wait_attested(one.name, "True", "Attested")["message"]
    assert message.startswith("simulated platform: not a proof")
    status = case.status(one.name)
    assert (status["signer"], status["policies"][0]["signer"]) == ("Simulated", "Simulated")


def test_an_audit_policy_reports_and_touches_no_node(
    attester: NewAttester, case: PolicyCase
) -> None:
    policy = case.policy(mode="Audit")
    good, bad = attester("good"), attester("bad", measurement=OTHER_MEASUREMENT)
    for one in (good, bad):
        one.attest()
    case.wait_attested(good.name, "True", "Attested")
    case.wait_attested(bad.name, "False", "CheckFailed")
    case.wait_counts(policy, matching=2, attested=1)
    for one in (good, bad):
        seen = one.node.api.get(node(one.name))
        assert (gate_labels(seen), taint_effect(seen)) == (set(), "")


@pytest.mark.parametrize("end", ["deleted", "turned to Audit"])
def test_a_policy_that_ends_leaves_no_trace_on_its_nodes(
    attester: NewAttester, case: PolicyCase, end: str
) -> None:
    policy = case.policy()
    good, bad = attester("good"), attester("bad", measurement=OTHER_MEASUREMENT)
    for one in (good, bad):
        one.attest()
    case.wait_label(good.name, policy)
    case.wait_taint(bad.name, "NoExecute")
    if end == "deleted":
        case.delete_policy(policy)
    else:
        case.policy(mode="Audit")
    case.wait_no_label(good.name, policy)
    for one in (good, bad):
        case.wait_taint(one.name, "")


def test_a_policy_that_is_tightened_is_applied_to_the_evidence_at_hand(
    attester: NewAttester, case: PolicyCase
) -> None:
    policy = case.policy()
    one = attester()
    one.attest()
    case.wait_label(one.name, policy)
    case.policy(guest={"smt": "Forbidden"})
    case.wait_attested(one.name, "False", "CheckFailed")
    assert gate_labels(case.wait_taint(one.name, "NoExecute")) == set()
    assert case.status(one.name)["evidence"]["sequence"] == 1


def test_a_new_reference_value_is_applied_to_the_evidence_at_hand(
    attester: NewAttester, case: PolicyCase
) -> None:
    policy = case.policy()
    one = attester(measurement=OTHER_MEASUREMENT)
    one.attest()
    case.wait_taint(one.name, "NoExecute")
    case.reference_values(MEASUREMENT, OTHER_MEASUREMENT)
    case.wait_label(one.name, policy)
    case.wait_taint(one.name, "")
    assert case.status(one.name)["evidence"]["sequence"] == 1


def test_missing_reference_values_never_evict(attester: NewAttester, case: PolicyCase) -> None:
    case.delete_reference_values()
    policy = case.policy()
    one = attester()
    one.attest()
    message = case.wait_attested(one.name, "Unknown", "ReferenceValuesMissing")["message"]
    assert f"ReferenceValueSet {case.name} of policy {policy} does not exist" in message
    case.wait_counts(policy, matching=1, attested=0)
    seen = one.node.api.get(node(one.name))
    assert (gate_labels(seen), taint_effect(seen)) == (set(), "NoSchedule")


def test_reference_values_that_go_missing_take_no_label_before_its_time(
    attester: NewAttester, case: PolicyCase
) -> None:
    policy = case.policy()
    one = attester()
    one.attest()
    case.wait_label(one.name, policy)
    case.delete_reference_values()
    case.wait_attested(one.name, "Unknown", "ReferenceValuesMissing")
    assert gate_labels(case.wait_taint(one.name, "NoSchedule")) == {GATE + policy}


def test_a_result_that_expires_takes_the_label_along(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    policy = case.policy(freshness={"maximumAgeSeconds": 10, "intervalSeconds": 5})
    one = attester()
    assert attest_slowly(one, plane.admin, seconds=6).status == 200
    case.wait_label(one.name, policy)
    message = case.wait_attested(one.name, "Unknown", "Expired")["message"]
    assert "older than 10 s" in message
    assert gate_labels(case.wait_taint(one.name, "NoSchedule")) == set()


def test_each_policy_gives_its_own_label(attester: NewAttester, case: PolicyCase) -> None:
    passed = {case.policy("-one"), case.policy("-two")}
    strict = case.policy("-strict", guest={"smt": "Forbidden"}, mode="Audit")
    one = attester()
    one.attest()
    for policy in passed:
        case.wait_label(one.name, policy)
    seen = case.wait_taint(one.name, "")
    assert gate_labels(seen) == {GATE + policy for policy in passed}
    results = {each["name"]: each["outcome"] for each in case.status(one.name)["policies"]}
    assert results == dict.fromkeys(passed, "Passed") | {strict: "Failed"}


def test_one_failed_policy_leaves_the_label_of_another(
    attester: NewAttester, case: PolicyCase
) -> None:
    lax = case.policy("-lax")
    case.policy("-strict", guest={"smt": "Forbidden"})
    one = attester()
    one.attest()
    case.wait_label(one.name, lax)
    assert gate_labels(case.wait_taint(one.name, "NoExecute")) == {GATE + lax}


def test_a_label_set_by_hand_is_taken_away(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    policy = case.policy()
    one = attester()
    case.wait_taint(one.name, "NoSchedule")
    plane.admin.merge_patch(node(one.name), {"metadata": {"labels": {GATE + policy: "true"}}})
    case.wait_no_label(one.name, policy)


def test_a_label_taken_by_hand_comes_back(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    policy = case.policy()
    one = attester()
    one.attest()
    case.wait_label(one.name, policy)
    case.wait_taint(one.name, "")
    plane.admin.merge_patch(node(one.name), {"metadata": {"labels": {GATE + policy: None}}})
    case.wait_label(one.name, policy)


def test_a_taint_taken_by_hand_comes_back(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    case.policy()
    one = attester(measurement=OTHER_MEASUREMENT)
    one.attest()
    case.wait_taint(one.name, "NoExecute")
    without = plane.admin.merge_patch(node(one.name), {"spec": {"taints": []}})
    assert taint_effect(without) == ""
    case.wait_taint(one.name, "NoExecute")


def test_labels_and_taints_of_others_stay_as_they_are(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    foreign = [
        {"key": "example.org/b", "effect": "NoExecute", "timeAdded": "2026-11-23T12:00:00Z"},
        {"key": "example.org/a", "value": "x", "effect": "PreferNoSchedule"},
    ]
    labels = {"example.org/zone": "a", "node-role.kubernetes.io/confidential": ""}
    policy = case.policy()
    one = attester(measurement=OTHER_MEASUREMENT)
    marks = {"metadata": {"labels": labels}, "spec": {"taints": foreign}}
    plane.admin.merge_patch(node(one.name), marks)
    one.attest()
    tainted = case.wait_taint(one.name, "NoExecute")
    one.machine = replace(one.machine, measurement=MEASUREMENT)
    one.attest()
    case.wait_label(one.name, policy)
    cleared = case.wait_taint(one.name, "")
    for seen in (tainted, cleared):
        assert _foreign_taints(seen) == foreign
        assert labels.items() <= seen["metadata"]["labels"].items()


def test_two_submissions_in_a_row_that_are_not_genuine_take_the_label(
    attester: NewAttester, case: PolicyCase
) -> None:
    policy = case.policy()
    one = attester()
    one.attest()
    case.wait_label(one.name, policy)
    for _ in range(2):
        question = one.challenge()
        genuine = one.submission(question)
        assert one.submit(genuine | {"bootID": "another"}).status == 422
    message = case.wait_attested(one.name, "False", "NotGenuine")["message"]
    assert "2 submissions in a row were not genuine: ReportDataMismatch" in message
    assert gate_labels(case.wait_taint(one.name, "NoExecute")) == set()


def test_a_reboot_takes_the_label_until_the_new_boot_has_attested(
    attester: NewAttester, case: PolicyCase
) -> None:
    policy = case.policy()
    one = attester()
    one.attest()
    case.wait_label(one.name, policy)
    one.node.reboot()
    case.wait_attested(one.name, "Unknown", "NodeRebooted")
    assert gate_labels(case.wait_taint(one.name, "NoSchedule")) == set()
    one.machine = replace(one.machine, boot_id=one.node.boot_id)
    one.attest()
    case.wait_label(one.name, policy)


def test_a_workload_runs_on_the_attested_node_only_and_is_evicted_when_it_fails(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane, namespace: str
) -> None:
    policy = case.policy()
    one, silent = attester("good"), attester("silent")
    case.wait_taint(silent.name, "NoSchedule")
    runtime_class, pod = _workload(GATE + policy, namespace)
    plane.admin.apply(runtime_class)
    path = plane.admin.path_of(plane.admin.apply(pod))
    plane.admin.wait_for(path, lambda seen: bool(unschedulable(seen)))
    one.attest()
    running = plane.admin.wait_for(path, is_running)
    assert running["spec"]["nodeName"] == one.name
    case.policy(guest={"smt": "Forbidden"})
    plane.admin.wait_gone(path)
    plane.admin.delete(plane.admin.path_of(runtime_class))


def test_metrics_show_attempts_and_nodes_by_policy_and_state(
    attester: NewAttester, case: PolicyCase, nodeproof_operator: OperatorProcess
) -> None:
    policy = case.policy()
    url = nodeproof_operator.metrics_url
    accepted = {"result": "accepted", "reason": "Accepted", "signer": "Simulated"}
    attempts = "nodeproof_attestation_attempts_total"
    before = sample(url, attempts, **accepted) or 0
    one, silent = attester("good"), attester("silent")
    one.attest()
    case.wait_label(one.name, policy)
    case.wait_taint(silent.name, "NoSchedule")
    states = (("Passed", "Simulated"), ("Unknown", ""))
    wait_until(
        lambda: all(
            sample(url, "nodeproof_nodes", policy=policy, state=state, signer=signer) == 1
            for state, signer in states
        ),
        seconds=20,
        what="both nodes in the metrics",
    )
    assert sample(url, attempts, **accepted) == before + 1
    assert sample(url, "nodeproof_build_info", simulated_allowed="true") == 1
    expiration = sample(url, "nodeproof_result_expiration_timestamp_seconds", node=one.name)
    assert expiration
    assert expiration > datetime.now(UTC).timestamp()


def test_a_transition_is_told_as_an_event_on_the_node(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    case.policy()
    one = attester(measurement=OTHER_MEASUREMENT)
    uid = plane.admin.get(node(one.name))["metadata"]["uid"]
    one.attest()
    events = f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.uid%3D{uid}"
    told = plane.admin.wait_for(
        events, lambda seen: "CheckFailed" in {each["reason"] for each in seen["items"]}
    )
    (event,) = (each for each in told["items"] if each["reason"] == "CheckFailed")
    assert event["type"] == "Warning"
    assert "check Measurement failed" in event["message"]


def test_kubectl_waits_for_the_condition(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    case.policy()
    one = attester()
    one.attest()
    said = plane.kubectl("wait", "--for=condition=Attested", f"natt/{one.name}", "--timeout=20s")
    assert "condition met" in said
    assert plane.admin.get(attestation(one.name))["status"]["signer"] == "Simulated"


def _foreign_taints(node_object: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        each for each in node_object["spec"]["taints"] if each["key"].startswith("example.org/")
    ]


def _workload(label: str, namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a RuntimeClass that demands the label, and a pod of that class."""
    runtime_class = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": namespace},
        "handler": "runc",
        "scheduling": {"nodeSelector": {label: "true"}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "workload", "namespace": namespace},
        "spec": {
            "runtimeClassName": namespace,
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "example/workload:1"}],
        },
    }
    return runtime_class, pod
