"""The main job, told on a terminal on a control plane alone, where nodes are stand-ins."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeproof_dev import objects
from nodeproof_dev.cluster import stopping_on_signals, working_directory
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.installation import Installation
from nodeproof_dev.narration import Narrator
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.operator_process import OperatorProcess
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.story import LAUNCHES, Story

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
        story = Story(_set_the_stage(stack, place, narrator), narrator)
        story.tell()
        narrator.say(story.epilogue(keep=keep))
        if keep:
            wait_for_interrupt()


def _set_the_stage(stack: ExitStack, place: Path, narrator: Narrator) -> LightStage:
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
    return LightStage(stack, plane, platforms, nodeproof, operator)


@dataclass(frozen=True, slots=True)
class LightStage:
    """A control plane with stand-in nodes, and the operator as a process; see ``story.Stage``."""

    stack: ExitStack
    plane: ControlPlane
    platforms: Platforms
    nodeproof: Installation
    operator: OperatorProcess
    seconds: float = _SECONDS
    joining: str = "Four nodes join, each with its own kubelet certificate"

    @property
    def logs(self) -> str:
        """Where the logs are."""
        return f"{self.plane.directory}/logs and {self.plane.directory}/nodes"

    def join(self) -> Mapping[str, SimulatedNode]:
        """Let the stand-in nodes join."""
        return {name: self._node(name, launch) for name, launch in LAUNCHES.items()}

    def metrics_url(self) -> str:
        """Return the operator's page."""
        return f"{self.operator.metrics_url}/metrics"

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


def wait_for_interrupt() -> None:
    """Wait until Ctrl-C."""
    while True:
        time.sleep(3600)
