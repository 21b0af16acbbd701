"""nodeproof on real nodes, as its tests meet it: what nodes launched, what carries our label."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.sevsnp.simulator.processor import MEASUREMENT
from nodeproof_dev import documents, objects
from nodeproof_dev.api import Api, Object
from nodeproof_dev.helm import NAMESPACE
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.real.cluster import RealCluster
from nodeproof_dev.real.node import RealNode

AGENTS_NAMESPACE = "nodeproof-agents"
OPERATOR, AGENT = "nodeproof-operator", "nodeproof-agent"

OTHER_MEASUREMENT = bytes(reversed(MEASUREMENT))
"""The launch measurement of an image that no reference value names."""

INTERVAL_SECONDS = 5
"""How often nodes attest here."""

SETTLE_SECONDS = 60.0
"""Bound of every wait for nodes to be as they should: an agent's longest pause after failures."""

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_KINDS = ("attestationpolicies", "nodeattestations", "referencevaluesets")
_DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{OPERATOR}"
_DAEMON_SET = f"/apis/apps/v1/namespaces/{AGENTS_NAMESPACE}/daemonsets/{AGENT}"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The nodes of a cluster that runs nodeproof."""

    cluster: RealCluster
    platforms: Platforms

    @property
    def admin(self) -> Api:
        """The admin's client."""
        return self.cluster.admin

    def launch(self, name: str, measurement: bytes = MEASUREMENT) -> None:
        """Give a node a simulated processor, and let it be its guest."""
        self.node(name).launch_platform(self.platforms.launch(measurement=measurement))

    def turn(self, name: str, measurement: bytes) -> None:
        """Let a node's processor measure another image from now on, without a reboot."""
        machine = SimulatedMachine.load(self.node(name).simulated_machine)
        self.node(name).launch_platform(replace(machine, measurement=measurement))

    def node(self, name: str) -> RealNode:
        """Return a node."""
        return self.cluster.nodes[name]

    def select(self) -> None:
        """Let the policy select every node, and apply it: they attest often from then on."""
        for node in self.cluster.nodes.values():
            label = {objects.FLEET_LABEL: objects.FLEET}
            self.admin.merge_patch(node.path, {"metadata": {"labels": label}})
        self.expect(MEASUREMENT)
        policy = documents.policy()
        freshness = {"intervalSeconds": INTERVAL_SECONDS, "maximumAgeSeconds": 900}
        self.admin.apply(policy | {"spec": policy["spec"] | {"freshness": freshness}})

    def expect(self, measurement: bytes) -> None:
        """Let this be the only measurement that counts."""
        values = documents.reference_values()
        values["spec"]["measurements"][0]["measurement"] = measurement.hex()
        self.admin.apply(values)

    def labelled(self) -> set[str]:
        """Return the nodes that carry the policy's label."""
        return _labelled(self.admin.get(objects.NODES))

    def wait_labelled(self, *names: str, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until these nodes carry the label, and no others."""
        self.wait_nodes(
            lambda nodes: _labelled(nodes) == set(names), f"the label on {set(names)}", seconds
        )

    def wait_tainted(self, *names: str, effect: str = "NoExecute") -> None:
        """Wait until these nodes carry our taint with this effect, and no others do."""

        def are(nodes: Object) -> bool:
            found = {
                each["metadata"]["name"]: objects.taint_effect(each) for each in nodes["items"]
            }
            return {name for name, seen in found.items() if seen == effect} == set(names)

        self.wait_nodes(are, f"the taint {effect} on {set(names)}")

    def wait_nodes(
        self, seen: Callable[[Object], bool], what: str, seconds: float = SETTLE_SECONDS
    ) -> None:
        """Wait until the list of all Nodes is as wished."""
        self.admin.wait_for(
            objects.NODES, lambda nodes: bool(nodes) and seen(nodes), seconds=seconds, what=what
        )

    def sequence(self, name: str) -> int:
        """Return how often a node's evidence was accepted."""
        return sequence_of(self.admin.find(objects.attestation(name)) or {})

    def wait_attests_again(self, name: str, *, above: int, times: int = 1) -> None:
        """Wait until evidence of a node has been accepted so many times more."""
        self.admin.wait_for(
            objects.attestation(name),
            lambda natt: sequence_of(natt) >= above + times,
            seconds=SETTLE_SECONDS,
            what=f"{times} new attestations of {name}",
        )

    def operators(self) -> list[Object]:
        """Return the operator's pods that are not about to go."""
        return self._pods(NAMESPACE, OPERATOR)

    def agents(self) -> dict[str, Object]:
        """Return the agents' pods that are not about to go, by node."""
        return {pod["spec"]["nodeName"]: pod for pod in self._pods(AGENTS_NAMESPACE, AGENT)}

    def leader(self) -> str:
        """Return the Lease's holder."""
        return objects.lease_holder(self.admin.get(objects.LEASE))

    def leading_pod(self) -> Object:
        """Return the pod that holds the Lease."""
        leader = self.leader()
        return next(pod for pod in self.operators() if leader.startswith(pod["metadata"]["name"]))

    def wait_led(self) -> None:
        """Wait until a replica of the present release holds the Lease."""
        present = tuple(pod["metadata"]["name"] for pod in self.operators())
        self.admin.wait_for(
            objects.LEASE,
            lambda lease: objects.lease_holder(lease).startswith(present),
            seconds=2 * SETTLE_SECONDS,
            what=f"one of {present} to lead",
        )

    def kill(self, pod: Object) -> None:
        """End the only container of a pod at once, as a crash would."""
        (container,) = pod["status"]["containerStatuses"]
        name = container["containerID"].removeprefix("containerd://")
        self.node(pod["spec"]["nodeName"]).ctr("tasks", "kill", "--signal", "SIGKILL", name)

    def tag(self, image: str, tag: str) -> None:
        """Give an image that every node has another tag besides."""
        other = f"{image.rpartition(':')[0]}:{tag}"
        for node in self.cluster.nodes.values():
            node.ctr("images", "tag", "--force", image, other)

    def mark_foreign(self, name: str, key: str) -> None:
        """Put a label and a taint on a node that are not ours."""
        taint = {"key": key, "effect": "PreferNoSchedule"}
        path = self.node(name).path
        self.admin.merge_patch(
            path, {"metadata": {"labels": {key: ""}}, "spec": {"taints": [taint]}}
        )

    def wait_waiting(self, reason: str) -> None:
        """Wait until the container of an agent waits for this reason."""
        self.admin.wait_for(
            f"/api/v1/namespaces/{AGENTS_NAMESPACE}/pods",
            lambda pods: reason in {each for pod in pods["items"] for each in _waiting(pod)},
            seconds=SETTLE_SECONDS,
            what=f"an agent that waits: {reason}",
        )

    def forget(self) -> None:
        """Take all marks off the nodes, and our kinds away: the cluster is as it was found."""
        labels = {objects.GATE_LABEL: None, objects.FLEET_LABEL: None}
        for node in self.cluster.nodes.values():
            patch = {"metadata": {"labels": labels}, "spec": {"taints": None}}
            self.admin.merge_patch(node.path, patch)
        # Held by a replica that could not give it back any more.
        self.admin.delete(objects.LEASE)
        self.delete_kinds()

    def delete_kinds(self) -> None:
        """Delete our CRDs, and with them every policy and result."""
        for name in _KINDS:
            self.admin.delete(f"{_CRDS}/{name}.nodeproof.dev")
        for name in _KINDS:
            self.admin.wait_gone(f"{_CRDS}/{name}.nodeproof.dev")

    def wait_rolled_out(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until all pods of operator and agents are of the present release, and ready."""
        self.admin.wait_for(_DEPLOYMENT, _deployed, seconds=seconds, what="the operator's pods")
        self.admin.wait_for(_DAEMON_SET, _on_all_nodes, seconds=seconds, what="the agents' pods")

    def _pods(self, namespace: str, name: str) -> list[Object]:
        selector = f"app.kubernetes.io%2Fname%3D{name}"
        pods = self.admin.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def of_ours(node: Object) -> list[Any]:
    """Return what a Node carries of ours: labels of policies, and taints."""
    labels = [key for key in node["metadata"].get("labels", {}) if key.startswith("nodeproof.")]
    taints = node["spec"].get("taints", [])
    return labels + [taint for taint in taints if taint["key"] == objects.TAINT]


def pod_path(pod: Object) -> str:
    """Return the path of a pod, as a list shows it."""
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def uids(pods: Iterable[Object]) -> set[str]:
    """Return the UIDs of pods."""
    return {pod["metadata"]["uid"] for pod in pods}


def restarts(pod: Object) -> int:
    """Return how often a pod's containers were started again."""
    return sum(each["restartCount"] for each in pod["status"].get("containerStatuses", []))


def sequence_of(natt: Object) -> int:
    """Return the sequence of a NodeAttestation's evidence; 0 if there is none."""
    return int(natt.get("status", {}).get("evidence", {}).get("sequence", 0))


def _waiting(pod: Object) -> list[str]:
    containers = pod["status"].get("containerStatuses", [])
    return [each["state"].get("waiting", {}).get("reason", "") for each in containers]


def _labelled(nodes: Object) -> set[str]:
    return {each["metadata"]["name"] for each in nodes["items"] if objects.has_label(each)}


def _is_observed(workload: Object) -> bool:
    observed = workload.get("status", {}).get("observedGeneration", 0)
    return bool(workload) and bool(observed >= workload["metadata"]["generation"])


def _deployed(deployment: Object) -> bool:
    if not _is_observed(deployment):
        return False
    status, wanted = deployment["status"], deployment["spec"]["replicas"]
    counts = [status.get(each, 0) for each in ("replicas", "updatedReplicas", "availableReplicas")]
    return counts == [wanted] * 3


def _on_all_nodes(daemon_set: Object) -> bool:
    if not _is_observed(daemon_set):
        return False
    status = daemon_set["status"]
    wanted = status["desiredNumberScheduled"]
    counts = [status.get(each, 0) for each in ("updatedNumberScheduled", "numberAvailable")]
    return bool(wanted) and counts == [wanted] * 2
