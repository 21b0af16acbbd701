"""The story that the demo tells: four nodes attest, one turns bad, its pod is evicted, it returns.

Where it is played is a stage's business. Every line about the cluster is read back from the API
server when it is printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nodeproof.sevsnp.simulator.processor import DEBUG_POLICY, MEASUREMENT
from nodeproof_dev import documents, narration, objects
from nodeproof_dev.api import Object
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.narration import Narrator

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


class Rebootable(Protocol):
    """A node whose machine can be launched anew."""

    def reboot(self, **changes: Any) -> None:
        """Boot it again, with another ``measurement`` or ``policy`` if given."""


class Stage(Protocol):
    """A cluster with nodeproof."""

    @property
    def plane(self) -> ControlPlane:
        """Its control plane."""

    @property
    def seconds(self) -> float:
        """How long anything may take before the demo gives up and says where the logs are."""

    @property
    def joining(self) -> str:
        """The title of the chapter in which the nodes are there."""

    @property
    def logs(self) -> str:
        """Where the logs are, in words."""

    def join(self) -> Mapping[str, Rebootable]:
        """Let the nodes of ``LAUNCHES`` be in the cluster, and return them by name."""

    def metrics_url(self) -> str:
        """Return the metrics page of the operator that leads."""


@dataclass
class Story:
    """What happens, in order."""

    stage: Stage
    narrator: Narrator
    nodes: Mapping[str, Rebootable] = field(default_factory=dict)

    def tell(self) -> None:
        """Let all of it happen.

        Raises:
            NotReadyInTime: The cluster did not do what the story says.
        """
        self.nodes_join()
        self.policy_is_applied()
        self.pod_is_placed()
        self.good_node_turns_bad()
        self.good_node_returns()
        self.metrics_tell_the_same()

    def epilogue(self, *, keep: bool) -> str:
        """Return what the audience may look at, and for how long."""
        plane = self.stage.plane
        lines = [
            "",
            f"kubeconfig  {plane.admin_kubeconfig}",
            f"logs        {self.stage.logs}",
            f"metrics     {self.stage.metrics_url()}",
        ]
        if not keep:
            return "\n".join([*lines, "Now all of it is removed; KEEP=1 keeps it running."])
        kubectl = " ".join(plane.kubectl_command)
        return "\n".join([*lines, f"kubectl     {kubectl}", "Running until Ctrl-C."])

    def nodes_join(self) -> None:
        """Let four nodes join, each with an agent's pod."""
        self.narrator.chapter(self.stage.joining)
        self.nodes = self.stage.join()
        self._wait(objects.AGENT_PODS, lambda pods: objects.run_on(pods, set(LAUNCHES)))
        self._kubectl("get", "nodes")
        self._kubectl("-n", "nodeproof-agents", "get", "pods", "-o", "wide")

    def policy_is_applied(self) -> None:
        """Apply policy and reference values; see who is attested and who is not, and why."""
        self.narrator.chapter("A policy and its reference values are applied")
        for document in (documents.reference_values(), documents.policy()):
            applied = self.stage.plane.admin.apply(document)
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
        self.stage.plane.admin.create(objects.PODS, documents.pod("workload"))
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
        self.stage.plane.admin.create(objects.PODS, documents.pod("latecomer"))
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
        for line in narration.summarise_metrics(self.stage.metrics_url()):
            self.narrator.fact(line)

    def _wait_judged(self, name: str, status: str) -> None:
        labelled = status == "True"
        self._wait(objects.attestation(name), lambda natt: objects.attested(natt) == status)
        self._wait(objects.node(name), lambda node: objects.has_label(node) == labelled)

    def _wait(self, path: str, seen: Callable[[Object], Any]) -> Object:
        return self.stage.plane.admin.wait_for(
            path, lambda it: bool(seen(it)), seconds=self.stage.seconds
        )

    def _kubectl(self, *arguments: str) -> None:
        self.narrator.command(
            "kubectl " + " ".join(arguments), self.stage.plane.kubectl(*arguments)
        )

    def _show_nodes(self) -> None:
        self.narrator.command(
            "labels and taints of the Nodes",
            "\n".join(
                objects.describe_node(node) for node in self.stage.plane.admin.items(objects.NODES)
            ),
        )
