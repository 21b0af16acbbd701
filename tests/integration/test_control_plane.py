"""The control plane under demo and tests is a real one, and the stand-in node is held to it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from nodeproof.protocol import TOKEN_AUDIENCE
from nodeproof_dev import pods
from nodeproof_dev.api import Api
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.errors import ApiRefused, ApiUnreachable
from nodeproof_dev.installation import Installation
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.process import wait_until
from nodeproof_dev.volumes import token_request

Join = Callable[..., SimulatedNode]

GATE = "nodeproof.node-restriction.kubernetes.io"
TAINT = {"key": "example.com/unwanted", "effect": "NoExecute"}

PARENT = """
import json, sys, time
from pathlib import Path
from nodeproof_dev.build import controlplane_binary
from nodeproof_dev.components import Components
from nodeproof_dev.process import Child, clean_environment, python_command

place = Path(sys.argv[1])
etcd = Components(controlplane_binary(), place).etcd
etcd.start()
# Any module that would go on for long does.
tethered = Child(
    "tethered", python_command("http.server", ["0", "--bind", "127.0.0.1"]),
    place / "logs" / "tethered.log", clean_environment(),
)
tethered.start()
print(json.dumps([etcd.pid, tethered.pid]), flush=True)
time.sleep(600)
"""


def pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "example.com/none:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": containers, "terminationGracePeriodSeconds": 30} | spec,
    }


def run_pod(api: Api, namespace: str, name: str, **spec: Any) -> str:
    collection = f"/api/v1/namespaces/{namespace}/pods"
    api.create(collection, pod(name, **spec))
    return f"{collection}/{name}"


def is_running(seen: dict[str, Any]) -> bool:
    return bool(seen) and seen["status"]["phase"] == "Running"


def is_gone(process_id: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    return True


def test_a_kubelet_cannot_set_a_gate_label(join: Join, unique_name: str) -> None:
    node = join(unique_name)
    with pytest.raises(ApiRefused, match="is not allowed to modify labels") as refusal:
        node.api.merge_patch(node.path, {"metadata": {"labels": {f"{GATE}/any": "true"}}})
    assert refusal.value.status == 403


def test_a_kubelet_cannot_remove_a_taint(plane: ControlPlane, join: Join, unique_name: str) -> None:
    node = join(unique_name)
    plane.admin.merge_patch(node.path, {"spec": {"taints": [TAINT]}})
    with pytest.raises(ApiRefused, match="is not allowed to modify taints") as refusal:
        node.api.merge_patch(node.path, {"spec": {"taints": []}})
    assert refusal.value.status == 403


def test_a_node_states_the_boot_id_of_its_last_boot(join: Join, unique_name: str) -> None:
    node = join(unique_name)
    first = node.boot_id
    node.reboot()
    stated = node.api.get(node.path)["status"]["nodeInfo"]["bootID"]
    assert stated == node.boot_id
    assert stated != first


def test_a_node_is_ready_and_renews_its_lease(
    plane: ControlPlane, join: Join, unique_name: str
) -> None:
    node = join(unique_name)
    lease = plane.admin.wait_for(
        f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{unique_name}"
    )
    seen = node.api.get(node.path)
    conditions = {each["type"]: each["status"] for each in seen["status"]["conditions"]}
    assert lease["metadata"]["ownerReferences"][0]["uid"] == seen["metadata"]["uid"]
    assert conditions["Ready"] == "True"


def agent_like_pod(plane: ControlPlane, namespace: str, node: str) -> dict[str, Any]:
    token = {"audience": TOKEN_AUDIENCE, "expirationSeconds": 600, "path": "token"}
    volume = {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    path = run_pod(
        plane.admin,
        namespace,
        "agent",
        nodeName=node,
        serviceAccountName="default",
        automountServiceAccountToken=False,
        volumes=[volume],
    )
    return plane.admin.wait_for(path, is_running)


def mint(node: SimulatedNode, namespace: str, request: dict[str, Any]) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    token: str = node.api.create(path, request)["status"]["token"]
    return token


def test_a_node_mints_a_token_bound_to_its_pod_for_our_audience(
    plane: ControlPlane, join: Join, namespace: str, unique_name: str
) -> None:
    node = join(unique_name)
    running = agent_like_pod(plane, namespace, unique_name)
    token = mint(node, namespace, token_request(running))
    review = plane.admin.create(
        "/apis/authentication.k8s.io/v1/tokenreviews",
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [TOKEN_AUDIENCE]},
        },
    )["status"]
    extra = review["user"]["extra"]
    assert review["audiences"] == [TOKEN_AUDIENCE]
    assert extra["authentication.kubernetes.io/node-name"] == [unique_name]
    assert extra["authentication.kubernetes.io/pod-uid"] == [running["metadata"]["uid"]]


def test_a_node_cannot_mint_a_token_for_another_nodes_pod(
    plane: ControlPlane, join: Join, namespace: str, unique_name: str
) -> None:
    join(unique_name)
    other = join(f"{unique_name}-other")
    running = agent_like_pod(plane, namespace, unique_name)
    with pytest.raises(ApiRefused) as refusal:
        mint(other, namespace, token_request(running))
    assert refusal.value.status == 403


def test_the_stand_in_finishes_the_deletion_of_a_pod(
    plane: ControlPlane, join: Join, namespace: str, unique_name: str
) -> None:
    join(unique_name)
    path = run_pod(plane.admin, namespace, "one", nodeName=unique_name)
    plane.admin.wait_for(path, is_running)
    plane.admin.delete(path)
    plane.admin.wait_gone(path, seconds=10)


def test_a_noexecute_taint_evicts_a_pod(
    plane: ControlPlane, join: Join, namespace: str, unique_name: str
) -> None:
    node = join(unique_name)
    path = run_pod(plane.admin, namespace, "one", nodeName=unique_name)
    plane.admin.wait_for(path, is_running)
    plane.admin.merge_patch(node.path, {"spec": {"taints": [TAINT]}})
    plane.admin.wait_gone(path, seconds=15)


def test_the_scheduler_binds_by_the_runtime_classs_selector(
    plane: ControlPlane, join: Join, namespace: str, unique_name: str
) -> None:
    node = join(unique_name)
    label = {f"example.com/{unique_name}": "true"}
    runtime_class = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": unique_name},
        "handler": "runc",
        "scheduling": {"nodeSelector": label},
    }
    plane.admin.apply(runtime_class)
    path = run_pod(plane.admin, namespace, "one", runtimeClassName=unique_name)
    plane.admin.wait_for(path, lambda seen: "Unschedulable" in json.dumps(seen["status"]))
    plane.admin.merge_patch(node.path, {"metadata": {"labels": label}})
    bound = plane.admin.wait_for(path, is_running)
    plane.admin.delete(plane.admin.path_of(runtime_class))
    assert bound["spec"]["nodeName"] == unique_name


def test_children_end_when_their_parent_is_killed(plane: ControlPlane, tmp_path: Path) -> None:
    assert plane.directory.exists()  # its binary is built by now
    parent = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        children = json.loads(parent.stdout.readline())
        were_there = [not is_gone(child) for child in children]
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: all(map(is_gone, children)), seconds=5, what="the children's end")
    assert were_there == [True, True]


def test_the_api_server_keeps_its_data_over_a_stop_and_start(
    own_plane: ControlPlane, unique_name: str
) -> None:
    admin = own_plane.admin
    path = f"/api/v1/namespaces/default/configmaps/{unique_name}"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": unique_name}}
    created = admin.apply(body)
    with own_plane.api_server_stopped(), pytest.raises(ApiUnreachable):
        admin.get(path)
    assert admin.wait_for(path)["metadata"]["uid"] == created["metadata"]["uid"]


def test_a_service_accounts_kubeconfig_has_only_its_rights(plane: ControlPlane) -> None:
    kubeconfig = plane.service_account_kubeconfig("default", "default")
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        plane.kubectl("get", "nodes", kubeconfig=kubeconfig)
    assert "system:serviceaccount:default:default" in refusal.value.stderr
    assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600


def agent_pod_of(plane: ControlPlane, node: str) -> Callable[[], dict[str, Any]]:
    def look() -> dict[str, Any]:
        found = [each for each in plane.admin.items(pods.pods_path(node)) if pods.is_agent(each)]
        return found[0] if found else {}

    return look


def test_the_agents_pod_runs_the_real_agent_with_a_token_of_its_node(
    installation: Installation, platforms: Platforms, join: Join, unique_name: str
) -> None:
    assert installation.operators is not None
    node = join(unique_name, machine=platforms.machine(unique_name))
    wait_until(lambda: bool(node.agent and node.agent.running), seconds=30, what="the agent")
    token = next(node.directory.glob("pods/*/token"))
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_a_node_without_a_platform_says_that_no_agent_runs(
    plane: ControlPlane, installation: Installation, join: Join, unique_name: str
) -> None:
    assert installation.operators is not None
    node = join(unique_name)
    look = agent_pod_of(plane, unique_name)
    wait_until(lambda: is_running(look()), seconds=30, what="the agent's pod")
    waiting = look()["status"]["containerStatuses"][0]["state"]["waiting"]
    assert "no evidence at all" in waiting["message"]
    assert node.agent is None
