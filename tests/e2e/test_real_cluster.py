"""The cluster itself does what clusters do; nothing of nodeproof is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import pytest

from cases.real_pods import PORT, RealPods, ready_nodes
from nodeproof_dev import objects
from nodeproof_dev.process import wait_until
from nodeproof_dev.real.cluster import RealCluster
from nodeproof_dev.real.node import RealNode

CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
LABEL = "test.nodeproof.dev/attested"
TAINT = "test.nodeproof.dev/unattested"


@pytest.fixture
def pods(cluster: RealCluster, namespace: str) -> RealPods:
    return RealPods(cluster, namespace)


@pytest.fixture
def gate(cluster: RealCluster, unique_name: str) -> Iterator[str]:
    """A RuntimeClass that admits its pods to labelled nodes only; the nodes are left clean."""
    cluster.admin.apply(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": unique_name},
            "handler": "runc",
            "scheduling": {"nodeSelector": {LABEL: "true"}},
        }
    )
    yield unique_name
    cluster.admin.delete(f"{CLASSES}/{unique_name}")
    for node in cluster.nodes.values():
        patch_node(cluster, node, {"metadata": {"labels": {LABEL: None}}, "spec": {"taints": None}})


def patch_node(cluster: RealCluster, node: RealNode, patch: dict[str, Any]) -> None:
    cluster.admin.merge_patch(node.path, patch)


def test_nodes_are_real_kubelets(cluster: RealCluster) -> None:
    for node in cluster.nodes.values():
        told = cluster.admin.get(node.path)["status"]["nodeInfo"]
        assert told["kubeletVersion"] == cluster.admin.get("/version")["gitVersion"]
        assert told["containerRuntimeVersion"].startswith("containerd://2.")
        assert told["bootID"] == node.boot_id


def test_every_node_tells_another_boot(cluster: RealCluster) -> None:
    assert len({node.boot_id for node in cluster.nodes.values()}) == len(cluster.nodes)


def test_a_hardened_pod_runs_on_each_node(pods: RealPods) -> None:
    assert set(pods.on_every_node("each")) == set(pods.cluster.nodes)


def test_pods_reach_each_other_across_nodes(pods: RealPods) -> None:
    pods.run("client", "node-1")
    server = pods.run("server", "node-2")
    assert pods.get("client", f"http://{server['status']['podIP']}:{PORT}/") == "server"


@pytest.mark.parametrize("node", ["node-1", "node-2"], ids=["same-node", "other-node"])
def test_a_service_answers_by_name(pods: RealPods, node: str) -> None:
    pods.serve("front")
    pods.run("server", node)
    pods.run("client", "node-1", serves=False)
    names = ("front", f"front.{pods.namespace}.svc.cluster.local")
    wait_until(lambda: reached(pods, f"http://{names[0]}/"), seconds=10, what="the Service")
    assert [pods.get("client", f"http://{name}/") for name in names] == ["server"] * 2


def reached(pods: RealPods, url: str) -> bool:
    try:
        return pods.get("client", url) == "server"
    except CalledProcessError:
        return False


def test_pods_find_the_api_server_by_name(pods: RealPods) -> None:
    pods.run("client", "node-3")
    with pytest.raises(CalledProcessError) as refused:
        pods.get("client", "https://kubernetes.default.svc/")
    # Reached: its certificate is not one of those that the workload trusts.
    assert "certificate signed by unknown authority" in refused.value.stderr


def test_logs_are_read_from_the_kubelet(pods: RealPods) -> None:
    pods.run("speaking", "node-1")
    assert pods.kubectl("logs", "speaking") == f"speaking serves :{PORT}\n"


def test_this_machine_reaches_pods_through_the_api_server(pods: RealPods) -> None:
    pods.run("server", "node-2")
    assert pods.cluster.admin.get(f"{pods.path('server')}:{PORT}/proxy/") == "server\n"


def test_a_pod_that_asks_for_a_label_waits_for_it(pods: RealPods, gate: str) -> None:
    pods.create("asking", runtimeClassName=gate)
    pods.cluster.admin.wait_for(
        pods.path("asking"), lambda pod: bool(objects.unschedulable(pod)), what="a pod that waits"
    )
    node = pods.cluster.nodes["node-2"]
    patch_node(pods.cluster, node, {"metadata": {"labels": {LABEL: "true"}}})
    assert pods.wait_ready("asking")["spec"]["nodeName"] == "node-2"


def test_a_taint_evicts_a_running_pod(pods: RealPods, gate: str) -> None:
    node = pods.cluster.nodes["node-3"]
    patch_node(pods.cluster, node, {"metadata": {"labels": {LABEL: "true"}}})
    pods.create("evicted", runtimeClassName=gate)
    pods.wait_ready("evicted")
    taint = {"key": TAINT, "effect": "NoExecute"}
    patch_node(pods.cluster, node, {"spec": {"taints": [taint]}})
    pods.cluster.admin.wait_gone(pods.path("evicted"), seconds=15)


def test_a_rebooted_node_tells_it_and_runs_its_pods_again(pods: RealPods) -> None:
    before = pods.on_every_node("each")["node-1"]
    node = pods.cluster.nodes["node-1"]
    boot = node.boot_id
    node.reboot()
    assert node.boot_id != boot
    assert restarts(pods, before) == 1


def restarts(pods: RealPods, pod: dict[str, Any]) -> int:
    name = pod["metadata"]["name"]
    again = pods.cluster.admin.wait_for(
        pods.path(name), lambda seen: started_again(seen, pod), seconds=60, what=f"{name} again"
    )
    return int(again["status"]["containerStatuses"][0]["restartCount"])


def started_again(seen: dict[str, Any], pod: dict[str, Any]) -> bool:
    container, before = (each["status"]["containerStatuses"][0] for each in (seen, pod))
    return bool(container["containerID"] != before["containerID"] and container["ready"])


def test_a_node_that_is_switched_off_leaves_no_process(pods: RealPods, switched: RealNode) -> None:
    pods.on_every_node("each")
    own = switched.machine.root.with_name("ns").joinpath("pid").readlink()
    assert processes_in(own) >= 4  # its first, containerd, kubelet, kube-proxy
    switched.stop()
    assert processes_in(own) == 0


def test_a_node_that_is_switched_on_runs_its_pods_again(pods: RealPods, switched: RealNode) -> None:
    pods.on_every_node("each")
    switched.stop()
    switched.start()
    path = f"/api/v1/namespaces/{pods.namespace}/pods"
    nodes = set(pods.cluster.nodes)
    pods.cluster.admin.wait_for(path, lambda listed: ready_nodes(listed) == nodes, seconds=60)


@pytest.fixture
def switched(cluster: RealCluster) -> Iterator[RealNode]:
    """A node to switch off; it is on afterwards."""
    node = cluster.nodes["node-2"]
    yield node
    if not node.running:
        node.start()


def processes_in(namespace: Path) -> int:
    """Return how many processes of this machine run in a process namespace."""
    return sum(runs_in(namespace, each) for each in Path("/proc").glob("[0-9]*"))


def runs_in(namespace: Path, process: Path) -> bool:
    try:
        ended = "\nState:\tZ" in (process / "status").read_text()
        return not ended and (process / "ns" / "pid").readlink() == namespace
    except OSError:  # it has ended meanwhile
        return False
