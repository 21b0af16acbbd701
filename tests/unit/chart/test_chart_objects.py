"""Rules that every object of the chart keeps, whatever the values."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from cases.charts import CASES, PLACED, Charts, Manifest, Rendered

NAMESPACE = "nodeproof-system"
CLUSTER_SCOPED = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "RuntimeClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
RESTRICTED = ("nodeproof-operator", "nodeproof-cleanup", "nodeproof-check")
HOOK = "helm.sh/hook"


def agents_namespace(rendered: Rendered) -> str:
    return str(rendered.find("DaemonSet", "nodeproof-agent")["metadata"]["namespace"])


def hooks(rendered: Rendered) -> list[Manifest]:
    return [each for each in rendered.manifests if HOOK in each["metadata"].get("annotations", {})]


def test_every_object_carries_our_labels(rendered: Rendered) -> None:
    for each in rendered.manifests:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "nodeproof"
        assert labels["app.kubernetes.io/instance"] == "nodeproof"
        assert labels["app.kubernetes.io/version"] == "0.1.0"
        assert labels["app.kubernetes.io/name"].startswith("nodeproof")


def test_every_object_is_in_one_of_our_namespaces(rendered: Rendered) -> None:
    ours = {NAMESPACE, agents_namespace(rendered)}
    for each in rendered.manifests:
        expected = {None} if each["kind"] in CLUSTER_SCOPED else ours
        if each["metadata"]["name"] == "nodeproof-events":
            expected = {"default"}  # where Events about Nodes must be
        assert each["metadata"].get("namespace") in expected


def test_no_object_is_there_twice(rendered: Rendered) -> None:
    keys = [
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"])
        for each in rendered.manifests
    ]
    assert len(keys) == len(set(keys))


def test_every_namespace_that_is_named_is_one_that_was_given(charts: Charts) -> None:
    text = replace(charts.helm, namespace="other-system").template(PLACED)
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert not re.search(r"nodeproof-(system|agents)\b", code)


def test_no_image_floats(rendered: Rendered) -> None:
    for name in rendered.pods():
        image = rendered.container(name)["image"]
        assert re.search(r"(:[0-9]+\.[0-9]+\.[0-9]+|@sha256:[0-9a-f]{64})$", image)


@pytest.mark.parametrize("name", RESTRICTED)
def test_pods_beside_the_operator_are_restricted(rendered: Rendered, name: str) -> None:
    pod = rendered.pods().get(name)
    if pod is None:
        assert name == "nodeproof-cleanup"  # the one that can be left out
        return
    spec, container = pod["spec"], rendered.container(name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"emptyDir", "configMap", "secret"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)


@pytest.mark.parametrize("name", RESTRICTED)
def test_pods_beside_the_operator_tolerate_our_taint_with_every_effect(
    rendered: Rendered, name: str
) -> None:
    if pod := rendered.pods().get(name):
        assert {"key": "nodeproof.dev/unattested", "operator": "Exists"} in pod["spec"][
            "tolerations"
        ]


def test_every_mount_has_its_volume(rendered: Rendered) -> None:
    for name, pod in rendered.pods().items():
        mounts = {each["name"] for each in rendered.container(name)["volumeMounts"]}
        assert mounts == {each["name"] for each in pod["spec"]["volumes"]}


def test_every_pod_has_an_account_of_the_chart(rendered: Rendered) -> None:
    for pod in rendered.pods().values():
        assert rendered.find("ServiceAccount", pod["spec"]["serviceAccountName"])


def test_every_hook_says_when_it_runs_and_what_becomes_of_it(rendered: Rendered) -> None:
    for each in hooks(rendered):
        notes = each["metadata"]["annotations"]
        assert notes[HOOK] in {"pre-delete", "test"}
        assert "before-hook-creation" in notes["helm.sh/hook-delete-policy"]
        assert notes["helm.sh/hook-weight"] == ("0" if each["kind"] in {"Job", "Pod"} else "-5")


def test_what_a_hook_needs_is_there_before_it(rendered: Rendered) -> None:
    for name in ("nodeproof-cleanup", "nodeproof-check"):
        kinds = {each["kind"] for each in hooks(rendered) if each["metadata"]["name"] == name}
        assert not kinds or kinds >= {"ServiceAccount", "ClusterRole", "ClusterRoleBinding"}


def test_the_account_that_may_unlabel_nodes_lives_only_while_it_is_needed(
    default: Rendered,
) -> None:
    ours = [each for each in default.manifests if each["metadata"]["name"] == "nodeproof-cleanup"]
    assert {each["metadata"]["annotations"][HOOK] for each in ours} == {"pre-delete"}
    for each in ours:
        assert "hook-succeeded" in each["metadata"]["annotations"]["helm.sh/hook-delete-policy"]


def test_selectors_match_their_pods(rendered: Rendered) -> None:
    for kind, name in (("DaemonSet", "nodeproof-agent"), ("Deployment", "nodeproof-operator")):
        spec = rendered.find(kind, name)["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert "app.kubernetes.io/version" not in labels  # an upgrade of values restarts nothing


def policies(rendered: Rendered) -> dict[str, Any]:
    return {
        each["metadata"]["name"]: each["spec"]
        for each in rendered.manifests
        if each["kind"] == "NetworkPolicy"
    }


def ports(rule: Manifest) -> set[int]:
    return {each["port"] for each in rule["ports"]}


def test_agents_reach_the_operator_and_dns_alone(default: Rendered) -> None:
    operator, names = policies(default)["nodeproof-agent"]["egress"]
    assert ports(operator) == {8443}
    (peer,) = operator["to"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": NAMESPACE}
    assert peer["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "nodeproof-operator"}
    assert ports(names) == {53, 5353}


def test_the_evidence_service_is_for_agents_and_the_check(default: Rendered) -> None:
    service, metrics = policies(default)["nodeproof-operator"]["ingress"]
    assert ports(service) == {8443}
    names = [
        each["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for each in service["from"]
    ]
    assert names == ["nodeproof-agent", "nodeproof-check"]
    assert ports(metrics) == {9090}
    assert "from" not in metrics


def test_scrapes_can_be_limited_to_namespaces(charts: Charts) -> None:
    found = policies(charts.render(PLACED))
    for rule in (found["nodeproof-operator"]["ingress"][1], found["nodeproof-agent"]["ingress"][0]):
        (peer,) = rule["from"]
        (expression,) = peer["namespaceSelector"]["matchExpressions"]
        assert expression["values"] == ["monitoring"]


@pytest.mark.parametrize(
    ("case", "expected"),
    [("default", {443, 6443}), ("air-gap", {6443}), ("mirror", {443, 6443, 8444, 3128})],
)
def test_the_operator_reaches_what_it_was_told_of(
    charts: Charts, case: str, expected: set[int]
) -> None:
    reached, _names = policies(charts.render(CASES[case]))["nodeproof-operator"]["egress"]
    assert ports(reached) == expected


def test_what_is_not_wanted_is_not_there(charts: Charts) -> None:
    assert (
        charts.render(CASES["bare"]).kinds()
        & {
            "CustomResourceDefinition",
            "ValidatingAdmissionPolicy",
            "RuntimeClass",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "Job",
        }
        == set()
    )
