"""One thing at a time that is not as it should be, and what the check makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodeproof_operator.check.findings import MAX_TEXT, Level, failed
from nodeproof_operator.check.judging import has_failed, judge, report
from nodeproof_operator.cluster.errors import Forbidden, NotFound, Unreachable
from nodeproof_operator.cluster.kinds import Kind
from unit.check.sound import (
    crd,
    daemon_set,
    deployment,
    node,
    only,
    pod,
    policy,
    result,
    runtime_class,
    sound,
    waiting,
    wrong,
)

GONE = NotFound("GET /x: not found", status=404)
REFUSED = Forbidden("GET /x: no role", status=403)
AWAY = Unreachable("GET /x: no answer within 5 s", status=0)


def test_an_installation_that_works_has_no_fault() -> None:
    assert wrong(sound()) == []
    assert not has_failed(judge(sound()))


def test_a_missing_crd_is_named_and_said_how_to_apply() -> None:
    seen = sound()
    finding = only(replace(seen, crds={**seen.crds, Kind.POLICY: GONE}))
    assert (finding.level, finding.about) == (Level.FAILED, "CRDs")
    assert "attestationpolicies is missing" in finding.text
    assert "apply crds/" in finding.next_step


def test_a_crd_that_is_not_established() -> None:
    seen = sound()
    young = crd("nodeattestations") | {"status": {}}
    finding = only(replace(seen, crds={**seen.crds, Kind.NODE_ATTESTATION: young}))
    assert "nodeattestations is not established" in finding.text


def test_a_crd_without_our_version() -> None:
    seen = sound()
    other = crd("nodeattestations")
    other["spec"]["versions"][0]["served"] = False
    finding = only(replace(seen, crds={**seen.crds, Kind.NODE_ATTESTATION: other}))
    assert "does not serve v1alpha1" in finding.text


def test_a_crd_of_an_older_release_lacks_a_field_that_would_be_dropped() -> None:
    seen = sound()
    older = crd("nodeattestations")
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    policies = schema["properties"]["status"]["properties"]["policies"]
    del policies["items"]["properties"]["failedChecks"]
    finding = only(replace(seen, crds={**seen.crds, Kind.NODE_ATTESTATION: older}))
    assert "it lacks status.policies[].failedChecks" in finding.text


def test_without_any_admission_policy_there_is_a_warning() -> None:
    """They can be left out on purpose."""
    seen = sound()
    finding = only(replace(seen, admission=dict.fromkeys(seen.admission, (GONE, GONE))))
    assert finding.level is Level.WARNING
    assert "nodes/status" in finding.next_step


@pytest.mark.parametrize(
    ("binding", "why"),
    [
        (GONE, "is not bound"),
        ({"spec": {"validationActions": ["Audit"]}}, "does not deny"),
    ],
)
def test_an_admission_policy_that_does_not_act(binding: Any, why: str) -> None:
    seen = sound()
    name = "nodes.nodeproof.dev"
    finding = only(replace(seen, admission={**seen.admission, name: ({"spec": {}}, binding)}))
    assert (finding.level, finding.text) == (Level.FAILED, f"{name} {why}")


def test_an_admission_policy_with_a_mistake() -> None:
    seen = sound()
    bad = {"status": {"typeChecking": {"expressionWarnings": [{"warning": "no such key"}]}}}
    _, bound = seen.admission["nodes.nodeproof.dev"]
    changed = {**seen.admission, "nodes.nodeproof.dev": (bad, bound)}
    assert "does not understand" in only(replace(seen, admission=changed)).text


def test_rights_that_the_operator_lacks_are_named() -> None:
    seen = sound()
    right = next(each for each in seen.rights if each.resource == "tokenreviews")
    finding = only(replace(seen, rights={**seen.rights, right: False}))
    assert finding.text == "the operator may not create tokenreviews"
    assert "deploy/rbac.yaml" in finding.next_step


def test_an_operator_that_was_never_deployed() -> None:
    finding = only(replace(sound(), deployment=GONE))
    assert (finding.level, finding.about) == (Level.FAILED, "operator")


def test_an_operator_whose_image_cannot_be_had() -> None:
    stuck = pod("op", ready=False, **waiting("ErrImagePull", "no such host"))
    found = wrong(replace(sound(), deployment=deployment(0), operator_pods=[stuck]))
    assert [each.text for each in found] == [
        "0 of 2 replicas are available",
        "ErrImagePull on node-1: no such host",
    ]
    assert "registry" in found[1].next_step


@pytest.mark.parametrize("lease", [GONE, {"spec": {}}, {"spec": {"holderIdentity": ""}}])
def test_without_a_leader(lease: Any) -> None:
    finding = only(replace(sound(), lease=lease, lease_renewed=False))
    assert finding.text.startswith("no replica holds the Lease")
    assert "logs deployment/nodeproof-operator" in finding.next_step


def test_a_leader_that_is_dead() -> None:
    finding = only(replace(sound(), lease_renewed=False))
    assert finding.text == "operator-1 holds the Lease and does not renew it"


def test_a_cleanup_that_holds_the_lease_is_no_leader() -> None:
    finding = only(replace(sound(), lease={"spec": {"holderIdentity": "cleanup-pod-1"}}))
    assert "a cleanup holds the Lease" in finding.text


def test_a_ca_that_was_not_published() -> None:
    finding = only(replace(sound(), ca={}, service_trouble="no CA is published"))
    assert "ConfigMap nodeproof-agents/nodeproof-ca is empty" in finding.text


def test_a_service_that_does_not_answer() -> None:
    finding = only(replace(sound(), service_trouble="no answer within 10 s"))
    assert finding.text.endswith(".svc:8443: no answer within 10 s")
    assert "NetworkPolicy" in finding.next_step


def test_agents_whose_image_cannot_be_pulled_are_named_with_node_and_message() -> None:
    message = 'Back-off pulling image "registry.example/agent:1"'
    pods = [
        pod("a", "node-1", ready=False, **waiting("ImagePullBackOff", message)),
        pod("b", "node-2", ready=False, **waiting("ImagePullBackOff", message)),
    ]
    found = wrong(replace(sound(), daemon_set=daemon_set(ready=0), agent_pods=pods))
    assert [each.text for each in found] == [
        "0 of 2 are ready",
        f"ImagePullBackOff on node-1, node-2: {message}",
    ]
    assert has_failed(found)


def test_another_pod_in_the_agents_namespace_is_none_of_ours() -> None:
    stranger = pod("s", ready=False, **waiting("ImagePullBackOff"))
    stranger["metadata"]["ownerReferences"] = [{"uid": "another"}]
    pods = [pod("a"), pod("b", "node-2", ready=False, **waiting("CrashLoopBackOff")), stranger]
    found = wrong(replace(sound(), daemon_set=daemon_set(ready=1), agent_pods=pods))
    assert [each.text for each in found] == ["1 of 2 are ready", "CrashLoopBackOff on node-2"]
    assert found[1].next_step == "kubectl -n nodeproof-agents logs b --previous"


def test_agents_that_could_not_even_be_created() -> None:
    found = wrong(replace(sound(), daemon_set=daemon_set(ready=0), agent_pods=[]))
    assert found[-1].text == "2 pods could not be created"
    assert "describe daemonset" in found[-1].next_step


def test_no_node_for_agents_is_a_warning() -> None:
    finding = only(replace(sound(), daemon_set=daemon_set(0, 0), agent_pods=[]))
    assert finding.level is Level.WARNING


def test_an_attested_node_without_the_handler_of_the_runtime_class() -> None:
    seen = replace(sound(), runtime_classes=[runtime_class("kata")])
    finding = only(seen)
    assert finding.level is Level.FAILED
    assert "attested leads to node-1, whose runtime has no handler 'kata'" in finding.text


def test_a_node_that_is_not_attested_need_not_have_the_handler_yet() -> None:
    nodes = [node("node-1", "crun", attested=False), node("node-2", "runc")]
    finding = only(replace(sound(), nodes=nodes))
    assert (finding.level, finding.text) == (
        Level.WARNING,
        "attested: no handler 'runc' on node-1",
    )


def test_nodes_that_do_not_pass_are_named_with_their_reason() -> None:
    results = [
        result("node-1"),
        result("node-2", "Failed", "CheckFailed"),
        result("node-3", "Unknown", "NoEvidence"),
        result("node-4", "Unknown", "NoEvidence"),
    ]
    nodes = [node(f"node-{number}") for number in range(1, 5)]
    finding = only(replace(sound(), nodes=nodes, policies=[policy(1, 4)], results=results))
    assert finding.level is Level.WARNING
    assert finding.text == (
        "policy confidential: 1 of 4 nodes are attested; CheckFailed: node-2; "
        "NoEvidence: node-3, node-4"
    )


def test_a_policy_that_cannot_be_applied_says_why() -> None:
    finding = only(replace(sound(), policies=[policy(ready="False", message="no such set")]))
    assert finding.text == "policy confidential is not applied: no such set"


def test_a_policy_that_selects_nothing() -> None:
    assert only(replace(sound(), policies=[policy(0, 0)])).text.endswith("selects no node")


def test_without_policies_the_first_one_is_asked_for() -> None:
    finding = only(replace(sound(), policies=[], results=[]))
    assert "docs/policy.md" in finding.next_step


def test_the_result_of_a_node_that_is_gone_is_none() -> None:
    assert wrong(replace(sound(), results=[result("gone", signer="Simulated")])) == []


def test_simulated_evidence_is_never_passed_over() -> None:
    finding = only(replace(sound(), results=[result("node-1", signer="Simulated")]))
    assert "simulated: it proves nothing" in finding.text


@pytest.mark.parametrize(
    "part",
    [
        *("deployment", "lease", "ca", "daemon_set", "agent_pods", "nodes"),
        *("runtime_classes", "policies", "results"),
    ],
)
def test_what_the_check_may_not_read_is_its_own_missing_role(part: str) -> None:
    changed: Any = {part: REFUSED}
    seen = replace(sound(), **changed)
    finding = only(seen)
    assert finding.level is Level.FAILED
    assert "nodeproof-check" in finding.next_step


def test_a_server_that_is_away_is_not_taken_for_a_missing_role() -> None:
    finding = only(replace(sound(), daemon_set=AWAY))
    assert "did not answer" in finding.text


def test_crds_that_are_missing_are_told_once() -> None:
    seen = sound()
    gone = replace(seen, crds=dict.fromkeys(seen.crds, GONE), policies=GONE, results=GONE)
    assert {each.about for each in wrong(gone)} == {"CRDs"}


def test_what_others_wrote_cannot_move_the_cursor_or_fill_the_screen() -> None:
    line, _ = failed("agents", "a\n\x1b[2Jb" + "x" * 10_000, "step").lines()
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < MAX_TEXT + 50


def test_the_report_ends_with_a_summary() -> None:
    lines = report(judge(replace(sound(), service_trouble="no")))
    assert lines[-1].endswith("0 warning, 1 FAILED")
    assert any(each.startswith("FAILED   service: ") for each in lines)
    assert any(each.startswith("         next: ") for each in lines)
