"""``nodeproof-operator check`` on a real API server, with its own account's rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from cases.leading import wait_leads
from cases.one_shot import Ran, run
from cases.policy_case import GATE, PolicyCase
from nodeproof_dev.api import MERGE_PATCH
from nodeproof_dev.attester import HandDrivenAttester
from nodeproof_dev.build import REPOSITORY
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.objects import AGENT_PODS, NODES, node
from nodeproof_dev.operator_process import OperatorProcess
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.process import wait_until

AGENTS = "/api/v1/namespaces/nodeproof-agents"
BACK_OFF = 'Back-off pulling image "registry.example/nodeproof-agent:0.1.0"'
WORKLOADS = REPOSITORY / "deploy" / "workloads" / "operator.yaml"


@pytest.fixture
def deployed(plane: ControlPlane, nodeproof_operator: OperatorProcess) -> Iterator[OperatorProcess]:
    """The operator's Deployment, whose pods run in name; the operator itself is a process."""
    wait_leads(plane, nodeproof_operator)
    documents = list(yaml.safe_load_all(WORKLOADS.read_text()))
    for each in documents:
        plane.admin.apply(each)
    yield nodeproof_operator
    for each in documents:
        plane.admin.delete(plane.admin.path_of(each))


def check(plane: ControlPlane, operator: OperatorProcess, *arguments: str) -> Ran:
    return run(plane, "check", f"--operator-url={operator.url}", *arguments)


def test_an_installation_that_works_passes(
    plane: ControlPlane,
    deployed: OperatorProcess,
    join: Callable[..., SimulatedNode],
    platforms: Platforms,
    case: PolicyCase,
    unique_name: str,
) -> None:
    policy = case.policy()
    join(
        unique_name,
        machine=platforms.machine(unique_name),
        operator_url=lambda: deployed.url,
        labels=case.selector,
    )
    case.wait_label(unique_name, policy)
    case.wait_counts(policy, matching=1, attested=1)
    ran = check(plane, deployed, "--wait=60")
    assert ran.status == 0, ran.out
    for line in (
        "ok       CRDs: ",
        "ok       admission: ",
        "ok       rights: ",
        "ok       operator: 2 of 2 replicas are available",
        f"ok       leader: {deployed.name} holds the Lease",
        f"ok       service: {deployed.url} answers, recognised by the published CA",
        "ok       agents: 1 of 1 are ready",
        "ok       RuntimeClass: attested",
        f"ok       nodes: policy {policy}: 1 of 1 nodes are attested",
        f"warning  nodes: the evidence of {unique_name} is simulated",
    ):
        assert line in ran.out, ran.out


def test_an_image_that_cannot_be_pulled_is_told_in_the_kubelets_words(
    plane: ControlPlane, nodeproof_operator: OperatorProcess, kubeletless: str
) -> None:
    pod = wait_agent_pod(plane, kubeletless)
    state = {"waiting": {"reason": "ImagePullBackOff", "message": BACK_OFF}}
    container = {"name": "agent", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    status = {"containerStatuses": [container | {"state": state}]}
    plane.admin.request("PATCH", f"{pod}/status", {"status": status}, content_type=MERGE_PATCH)
    ran = check(plane, nodeproof_operator)
    assert ran.status == 1
    assert f"FAILED   agents: ImagePullBackOff on {kubeletless}: {BACK_OFF}" in ran.out
    assert "registry, repository, tag and pull secrets" in ran.out


def test_an_attested_node_without_the_handler_is_told(
    plane: ControlPlane,
    nodeproof_operator: OperatorProcess,
    attester: Callable[..., HandDrivenAttester],
    case: PolicyCase,
    unique_name: str,
) -> None:
    policy = case.policy()
    one = attester()
    one.attest()
    case.wait_label(one.name, policy)
    handlers = {"status": {"runtimeHandlers": [{"name": "crun"}, {"name": ""}]}}
    plane.admin.merge_patch(f"{node(one.name)}/status", handlers)
    runtime_class = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": unique_name},
        "handler": "runc",
        "scheduling": {"nodeSelector": {GATE + policy: "true"}},
    }
    plane.admin.apply(runtime_class)
    try:
        ran = check(plane, nodeproof_operator)
    finally:
        plane.admin.delete(plane.admin.path_of(runtime_class))
    assert ran.status == 1
    leads = f"{unique_name} leads to {one.name}, whose runtime has no handler 'runc'"
    assert leads in ran.out, ran.out


def test_a_check_without_its_roles_says_so(
    plane: ControlPlane, nodeproof_operator: OperatorProcess
) -> None:
    kubeconfig = plane.service_account_kubeconfig("nodeproof-agents", "nodeproof-agent")
    ran = check(plane, nodeproof_operator, f"--kubeconfig={kubeconfig}")
    assert ran.status == 1
    assert "the check may not look" in ran.out
    assert "nodeproof-check" in ran.out


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster in which only the check's account and the namespaces were applied."""
    with ControlPlane.start(tmp_path_factory.mktemp("bare")) as plane:
        for name in ("00-namespace", "hooks"):
            for each in yaml.safe_load_all((REPOSITORY / "deploy" / f"{name}.yaml").read_text()):
                plane.admin.apply(each)
        yield plane


@pytest.fixture(scope="module")
def bare_answer(bare: ControlPlane) -> Ran:
    return run(bare, "check", "--operator-url=https://127.0.0.1:1")


@pytest.mark.parametrize(
    "line",
    [
        "FAILED   CRDs: attestationpolicies is missing",
        "warning  admission: none of our policies is there",
        "FAILED   rights: the operator may not",
        "FAILED   operator: is not there",
        "FAILED   leader: no replica holds the Lease",
        "FAILED   service: is not there",
        "FAILED   agents: is not there",
    ],
)
def test_where_little_is_installed_everything_missing_is_named(bare_answer: Ran, line: str) -> None:
    assert bare_answer.status == 1
    assert line in bare_answer.out, bare_answer.out


def test_a_right_that_was_taken_away_is_named(
    bare: ControlPlane,
) -> None:
    rbac = (REPOSITORY / "deploy" / "rbac.yaml").read_text()
    for each in yaml.safe_load_all(rbac):
        if (each["kind"], each["metadata"].get("namespace")) != ("RoleBinding", "nodeproof-agents"):
            bare.admin.apply(each)
    ran = run(bare, "check", "--operator-url=https://127.0.0.1:1")
    assert "the operator may not get configmaps nodeproof-ca in nodeproof-agents" in ran.out


@pytest.fixture
def kubeletless(plane: ControlPlane, unique_name: str) -> Iterator[str]:
    """A Node whose kubelet says nothing."""
    metadata = {"name": unique_name, "labels": {"kubernetes.io/os": "linux"}}
    plane.admin.apply({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    room = {"cpu": "2", "memory": "4Gi", "pods": "10"}
    status = {"status": {"capacity": room, "allocatable": room}}
    plane.admin.merge_patch(f"{node(unique_name)}/status", status)
    yield unique_name
    plane.admin.delete(f"{NODES}/{unique_name}")


def wait_agent_pod(plane: ControlPlane, node_name: str) -> str:
    """Return the path of the agent's pod on a node, once there is one."""
    found: list[str] = []

    def look() -> bool:
        pods: list[dict[str, Any]] = plane.admin.items(AGENT_PODS)
        found[:] = [
            each["metadata"]["name"] for each in pods if each["spec"].get("nodeName") == node_name
        ]
        return bool(found)

    wait_until(look, seconds=30, what="the agent's pod")
    return f"{AGENTS}/pods/{found[0]}"
