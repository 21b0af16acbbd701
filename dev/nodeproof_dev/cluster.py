"""A cluster with nodeproof to play with, until Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from nodeproof_dev import documents
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.installation import Installation
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.objects import FLEET, FLEET_LABEL
from nodeproof_dev.platforms import Platforms

NODE_NAMES = ("node-1", "node-2")
"""Nodes with a simulated platform."""

BARE_NODE_NAME = "node-3"
"""A node without one: no evidence at all."""


def run(directory: Path | None = None, *, until: threading.Event | None = None) -> None:
    """Start control plane, nodeproof and three nodes; stop all on Ctrl-C or SIGTERM.

    Args:
        directory: Where everything goes, and what stays; a temporary one, removed, if None.
        until: Ends the wait when set; for callers that have no keyboard.

    Raises:
        BuildFailed: The control plane's binary cannot be built.
        ComponentFailed: A process ended or did not become ready.
    """
    with ExitStack() as stack:
        stack.enter_context(stopping_on_signals())
        place = stack.enter_context(working_directory(directory))
        plane = stack.enter_context(ControlPlane.obtain(place))
        platforms = Platforms(place / "platforms")
        nodeproof = stack.enter_context(Installation(plane, simulated_roots=[platforms.ark]))
        nodeproof.apply()
        operator = nodeproof.start_operator()
        for name in (*NODE_NAMES, BARE_NODE_NAME):
            machine = None if name == BARE_NODE_NAME else platforms.machine(name)
            node = SimulatedNode(
                plane,
                name,
                machine=machine,
                operator_url=nodeproof.operator_url,
                labels={FLEET_LABEL: FLEET},
            )
            stack.enter_context(node)
        print(_hints(plane, operator.metrics_url, write_examples(place)))
        (until or threading.Event()).wait()


@contextmanager
def working_directory(directory: Path | None) -> Iterator[Path]:
    """Give a directory to work in: the one named, which stays, or one that is removed after."""
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory.resolve()
        return
    temporary = Path(tempfile.mkdtemp(prefix="nodeproof-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: stop everything in order.

    SIGINT too is set: a process that a shell started in the background ignores it otherwise.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def write_examples(directory: Path) -> Path:
    """Write a policy that fits the simulated nodes, its reference values, and a pod."""
    examples = directory / "examples"
    examples.mkdir(exist_ok=True)
    policy = [documents.reference_values(), documents.policy()]
    (examples / "confidential.yaml").write_text(yaml.safe_dump_all(policy, sort_keys=False))
    (examples / "pod.yaml").write_text(yaml.safe_dump(documents.pod("workload"), sort_keys=False))
    return examples


def _hints(plane: ControlPlane, metrics_url: str, examples: Path) -> str:
    kubectl = " ".join(plane.kubectl_command)
    return f"""
A cluster with nodeproof is running. In another terminal:

  export KUBECONFIG={plane.admin_kubeconfig}
  alias kubectl='{kubectl}'

  kubectl get nodes
  kubectl apply -f {examples}/confidential.yaml
  kubectl get attestationpolicies,nodeattestations
  kubectl apply -f {examples}/pod.yaml

metrics   {metrics_url}/metrics
logs      {plane.directory}/logs and {plane.directory}/nodes
machines  {plane.directory}/platforms (nodeproof-simulator reboot MACHINE changes one)

The nodes' platform is simulated: its evidence proves nothing.
Ctrl-C stops everything.
"""
