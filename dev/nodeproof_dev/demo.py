"""The main job, told on a terminal: four nodes attest, one turns bad, its pod is evicted.

Every line about the cluster is read back from the API server when it is printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodeproof.sevsnp.simulator.processor import DEBUG_POLICY, MEASUREMENT
from nodeproof_dev import documents, narration, objects
from nodeproof_dev.api import Object
from nodeproof_dev.cluster import stopping_on_signals, working_directory
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.installation import Installation
from nodeproof_dev.narration import Narrator
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.operator_process import OperatorProcess
from nodeproof_dev.platforms import Platforms

OTHER_MEASUREMENT = bytes(reversed(MEASUREMENT))
"""The launch measurement of an image that no reference value names."""

GOOD, OTHER, DEBUGGABLE, SILENT = "node-good", "node-other-image", "node-debuggable", "node-silent"

LAUNCHES: dict[str, dict[str, Any] | None] = {
    GOOD: {},
    OTHER: {"measurement": OTHER_MEASUREMENT, "report_version": 3},
    DEBUGGABLE: {"policy": DEBUG_POLICY},
    SILENT: None,
}
"""How each node's machine is launched; None has no SNP platform at all."""

_SECONDS = 30.0
"""How long anything may take before the demo gives up and says where the logs are."""


def run(directory: Path | None = None, *, keep: bool = False) -> None:
    """Tell the story; with ``keep`` wait for Ctrl-C before everything is stopped and removed.

    Raises:
        BuildFailed: The control plane's binary cannot be built.
        ComponentFailed: A process ended or did not become ready.
        NotReadyInTime: The cluster did not do what the story says.
    """
    with ExitStack() as stack:
        stack.enter_context(stopping_on_signals())
        place = stack.enter_context(working_directory(directory))
        narrator = Narrator()
        story = _set_the_stage(stack, place, narrator)
        story.nodes_join()
        story.policy_is_applied()
        story.pod_is_placed()
        story.good_node_turns_bad()
        story.good_node_returns()
        story.metrics_tell_the_same()
        narrator.say(_epilogue(story, keep=keep))
        if keep:
            _wait_for_interrupt()


def _set_the_stage(stack: ExitStack, place: Path, narrator: Narrator) -> Story:
    narrator.chapter("A real control plane: etcd, kube-apiserver, controller manager, scheduler")
    plane = stack.enter_context(ControlPlane.obtain(place))
    version = plane.admin.get("/version")["gitVersion"]
    narrator.fact(f"API server {version} is ready; authorization Node,RBAC and NodeRestriction")
    narrator.chapter("nodeproof: CRDs, RBAC, admission policies, and the operator")
    platforms = Platforms(place / "platforms")
    nodeproof = stack.enter_context(Installation(plane, simulated_roots=[platforms.ark]))
    nodeproof.apply()
    narrator.fact("served: " + ", ".join(objects.served_kinds(plane.admin)))
    operator = nodeproof.start_operator()
    lease = plane.admin.wait_for(
        objects.LEASE, lambda it: bool(objects.lease_holder(it)), seconds=_SECONDS
    )
    narrator.fact(f"the operator holds the Lease as {objects.lease_holder(lease)!r}")
    narrator.warn("evidence in this story comes from a simulated platform: it proves nothing")
    return Story(stack, plane, platforms, nodeproof, operator, narrator)


@dataclass
class Story:
    """What happens, in order."""

    stack: ExitStack
    plane: ControlPlane
    platforms: Platforms
    nodeproof: Installation
    operator: OperatorProcess
    narrator: Narrator
    nodes: dict[str, SimulatedNode] = field(default_factory=dict)

    def nodes_join(self) -> None:
        """Let four nodes join, each with an agent's pod."""
        self.narrator.chapter("Four nodes join, each with its own kubelet certificate")
        self.nodes = {name: self._node(name, launch) for name, launch in LAUNCHES.items()}
        self._wait(objects.AGENT_PODS, lambda pods: objects.run_on(pods, set(LAUNCHES)))
        self._kubectl("get", "nodes")
        self._kubectl("-n", "nodeproof-agents", "get", "pods", "-o", "wide")

    def policy_is_applied(self) -> None:
        """Apply policy and reference values; see who is attested and who is not, and why."""
        self.narrator.chapter("A policy and its reference values are applied")
        for document in (documents.reference_values(), documents.policy()):
            applied = self.plane.admin.apply(document)
            self.narrator.fact(f"{applied['kind']} {applied['metadata']['name']}")
        began = time.monotonic()
        for name, status in ((GOOD, "True"), (OTHER, "False"), (DEBUGGABLE, "False")):
            self._wait_judged(name, status)
        self._wait(objects.attestation(SILENT), lambda natt: objects.attested(natt) == "Unknown")
        self._wait(objects.node(SILENT), objects.taint_effect)
        self._wait(objects.policy(), lambda it: objects.attested_count(it) == 1)
        self.narrator.fact(f"all four judged within {time.monotonic() - began:.1f} s")
        self._kubectl("get", "attestationpolicies")
        self._kubectl("get", "nodeattestations")
        self._show_nodes()

    def pod_is_placed(self) -> None:
        """Let the scheduler place a pod that asks for an attested node."""
        self.narrator.chapter("A pod with runtimeClassName: attested")
        self.plane.admin.create(objects.PODS, documents.pod("workload"))
        self._wait(objects.pod("workload"), objects.is_running)
        self._kubectl("get", "pod", "workload", "-o", "wide")

    def good_node_turns_bad(self) -> None:
        """Reboot the good node into another image; label and pod must go."""
        self.narrator.chapter("The good node restarts with another launch measurement")
        began = time.monotonic()
        self.nodes[GOOD].reboot(measurement=OTHER_MEASUREMENT)
        for what, path, seen in (
            ("the label is gone", objects.node(GOOD), lambda node: not objects.has_label(node)),
            ("the NoExecute taint is there", objects.node(GOOD), objects.is_no_execute),
            ("the pod is evicted", objects.pod("workload"), lambda pod: not pod),
        ):
            self._wait(path, seen)
            self.narrator.fact(f"{what} ({time.monotonic() - began:.1f} s after the reboot)")
        self._kubectl("get", "nodeattestation", GOOD)
        self.plane.admin.create(objects.PODS, documents.pod("latecomer"))
        late = self._wait(objects.pod("latecomer"), objects.unschedulable)
        self.narrator.fact(f"a second pod stays Pending: {objects.unschedulable(late)}")

    def good_node_returns(self) -> None:
        """Reboot the good node into the good image; the pending pod is placed."""
        self.narrator.chapter("It returns to the good image")
        self.nodes[GOOD].reboot(measurement=MEASUREMENT)
        self._wait(objects.attestation(GOOD), lambda natt: objects.attested(natt) == "True")
        self._wait(objects.pod("latecomer"), objects.is_running)
        self._kubectl("get", "nodeattestation", GOOD)
        self._kubectl("get", "pods", "-o", "wide")
        self._show_nodes()

    def metrics_tell_the_same(self) -> None:
        """Scrape the operator and show what a dashboard would."""
        self.narrator.chapter("What Prometheus sees")
        self._wait(objects.policy(), lambda it: objects.attested_count(it) == 1)
        for line in narration.summarise_metrics(f"{self.operator.metrics_url}/metrics"):
            self.narrator.fact(line)

    def _node(self, name: str, launch: dict[str, Any] | None) -> SimulatedNode:
        machine = None if launch is None else self.platforms.machine(name, **launch)
        node = SimulatedNode(
            self.plane,
            name,
            machine=machine,
            operator_url=self.nodeproof.operator_url,
            labels={objects.FLEET_LABEL: objects.FLEET},
        )
        return self.stack.enter_context(node)

    def _wait_judged(self, name: str, status: str) -> None:
        labelled = status == "True"
        self._wait(objects.attestation(name), lambda natt: objects.attested(natt) == status)
        self._wait(objects.node(name), lambda node: objects.has_label(node) == labelled)

    def _wait(self, path: str, seen: Callable[[Object], Any]) -> Object:
        return self.plane.admin.wait_for(path, lambda it: bool(seen(it)), seconds=_SECONDS)

    def _kubectl(self, *arguments: str) -> None:
        self.narrator.command("kubectl " + " ".join(arguments), self.plane.kubectl(*arguments))

    def _show_nodes(self) -> None:
        self.narrator.command(
            "labels and taints of the Nodes",
            "\n".join(
                objects.describe_node(node) for node in self.plane.admin.items(objects.NODES)
            ),
        )


def _epilogue(story: Story, *, keep: bool) -> str:
    lines = [
        "",
        f"kubeconfig  {story.plane.admin_kubeconfig}",
        f"logs        {story.plane.directory}/logs and {story.plane.directory}/nodes",
        f"metrics     {story.operator.metrics_url}/metrics",
    ]
    if not keep:
        return "\n".join([*lines, "Now all of it is removed; `make demo KEEP=1` keeps it running."])
    kubectl = " ".join(story.plane.kubectl_command)
    return "\n".join([*lines, f"kubectl     {kubectl}", "Running until Ctrl-C."])


def _wait_for_interrupt() -> None:
    while True:
        time.sleep(3600)
