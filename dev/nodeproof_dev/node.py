"""A stand-in kubelet: everything a node says and does towards the API server, in its own name.

It registers its Node, renews its Lease, writes its status, runs pods in name, finishes their
deletion, and runs the real agent for the agents' pod. Whatever it does it does with the node's
client certificate (``system:node:NAME``, group ``system:nodes``), so that the Node authorizer and
NodeRestriction judge it as they judge a kubelet.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_dev import pods, registration
from nodeproof_dev.agent_pod import AgentPod
from nodeproof_dev.agent_process import AgentProcess
from nodeproof_dev.api import Api, Object
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.errors import ApiRefused, ApiUnreachable, NotPossible
from nodeproof_dev.interfaces import Interface, Simulator
from nodeproof_dev.process import stop_all
from nodeproof_dev.registration import LEASES, NODES, NodeFacts

TICK_SECONDS = 0.2
"""Time between two looks at the node's pods."""

HEARTBEAT = timedelta(seconds=10)
"""Time between two heartbeats, as kubelets send them."""

REQUEST_SECONDS = 3.0
"""The longest that one request may take: it also bounds how long stopping takes."""

_JOIN_SECONDS = 30.0


class SimulatedNode:
    """One stand-in node.

    Attributes:
        name: The Node's name.
        api: The node's own identity; tests use it to do what a hostile kubelet would.
        directory: Its log, its agent's log and its pods' volumes.
        operator_url: Where its agent finds the operator; asked for at each start of the agent.
    """

    def __init__(
        self,
        plane: ControlPlane,
        name: str,
        *,
        machine: Path | None,
        operator_url: Callable[[], str],
        labels: Mapping[str, str] | None = None,
        interface: Interface | None = None,
    ) -> None:
        """Prepare a node.

        Args:
            plane: The cluster that it joins.
            name: The Node's name.
            machine: The directory of its simulated SNP machine. None is a node without a platform:
                its agent's pod is there but nothing runs in it, and there is no evidence at all.
            operator_url: The operator's evidence service.
            labels: Labels that the node gives itself when it registers.
            interface: How its agent reaches the machine, which is the caller's to end; by default
                with the simulator in itself.
        """
        self.name = name
        self.directory = plane.directory / "nodes" / name
        self.operator_url = operator_url
        self.api = Api(
            plane.connection(f"system:node:{name}", ("system:nodes",)), timeout=REQUEST_SECONDS
        )
        self._admin = plane.admin
        self._machine = machine
        self._interface = interface or (Simulator(machine) if machine else None)
        boot_id = SimulatedMachine.load(machine).boot_id if machine else str(uuid.uuid4())
        self._facts = NodeFacts(name, uuid.uuid4().hex, boot_id, dict(labels or {}))
        self._agents: dict[str, AgentPod] = {}
        self._next_heartbeat = _now()
        self._last_trouble = ""
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    @property
    def path(self) -> str:
        """The path of its Node."""
        return f"{NODES}/{self.name}"

    @property
    def boot_id(self) -> str:
        """The boot ID that it states in its Node."""
        return self._facts.boot_id

    @property
    def machine(self) -> Path:
        """The directory of its simulated machine.

        Raises:
            NotPossible: It has no platform.
        """
        if self._machine is None:
            raise NotPossible(f"node {self.name} has no platform")
        return self._machine

    @property
    def agent(self) -> AgentProcess | None:
        """The process of its agent, once its pod runs; None without a platform."""
        with self._lock:
            processes = [each.process for each in self._agents.values() if each.process]
        return processes[-1] if processes else None

    def start(self) -> None:
        """Register the Node and begin to act for it.

        Raises:
            ApiRefused: The registration is refused.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self.register()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name=f"node {self.name}", daemon=True)
        self._thread.start()

    def register(self) -> None:
        """Create the Node, or take over one that is there, as a kubelet does when it starts.

        A kubelet whose Node was deleted does not come back by itself, and neither does this one.
        """
        document = registration.node_document(self._facts, _now())
        status, answer = self.api.call("POST", NODES, document)
        if status not in {HTTPStatus.CREATED, HTTPStatus.CONFLICT}:
            raise ApiRefused(status, answer)
        self._next_heartbeat = _now()

    def stop(self) -> None:
        """Stop acting: the node falls silent, its agent ends, its objects stay."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
            self._thread = None
        with self._lock:
            processes = [each.process for each in self._agents.values() if each.process]
            stop_all(child for process in processes for child in process.children)
            self._agents.clear()

    def remove(self) -> None:
        """Stop, and let the admin remove the Node and its pods."""
        self.stop()
        with suppress(ApiUnreachable):
            self._admin.delete(self.path)
            for pod in self._admin.items(pods.pods_path(self.name)):
                self._admin.delete(pods.pod_path(pod), uid=pod["metadata"]["uid"], grace=0)
        shutil.rmtree(self.directory / "pods", ignore_errors=True)

    def reboot(self, **changes: Any) -> None:
        """Boot the machine again, with another ``measurement`` or ``policy`` if given.

        The Node states the new boot ID and the agent starts anew, as after a real reboot. Without
        a platform only the boot ID changes.
        """
        with self._lock:
            for agent in self._agents.values():
                agent.stop()
            boot_id = str(uuid.uuid4())
            if self._machine is not None:
                machine = SimulatedMachine.load(self._machine).reboot(**changes)
                machine.save(self._machine)
                if self._interface is not None:
                    self._interface.booted(machine)
                boot_id = machine.boot_id
            self._facts = replace(self._facts, boot_id=boot_id)
            self._next_heartbeat = _now()
            self._tick()

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            with self._lock:
                self._tick()

    def _tick(self) -> None:
        # Each on its own: a node that cannot write its status still runs its pods.
        if _now() >= self._next_heartbeat:
            self._next_heartbeat = _now() + HEARTBEAT
            if not self._attempt(self._heartbeat):
                self._next_heartbeat = _now() + timedelta(seconds=1)
        self._attempt(self._sync_pods)

    def _attempt(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except (ApiRefused, ApiUnreachable, NotPossible, OSError) as error:
            self._note(str(error))
            return False
        return True

    def _note(self, trouble: str) -> None:
        if trouble != self._last_trouble:
            self._last_trouble = trouble
            with (self.directory / "kubelet.log").open("a") as log:
                log.write(f"{_now().isoformat()} {trouble}\n")

    def _heartbeat(self) -> None:
        self._renew_lease()
        status = registration.status_document(self._facts, _now())
        self.api.strategic_patch(f"{self.path}/status", {"status": status})

    def _renew_lease(self) -> None:
        renewed = {"spec": registration.renewal(_now())}
        path = f"{LEASES}/{self.name}"
        status, answer = self.api.call(
            "PATCH", path, renewed, content_type="application/merge-patch+json"
        )
        if status == HTTPStatus.NOT_FOUND:
            node_uid = self.api.get(self.path)["metadata"]["uid"]
            self.api.create(LEASES, registration.lease_document(self.name, node_uid, _now()))
        elif status != HTTPStatus.OK:
            raise ApiRefused(status, answer)

    def _sync_pods(self) -> None:
        found = self.api.items(pods.pods_path(self.name))
        present = {pod["metadata"]["uid"] for pod in found}
        for uid in self._agents.keys() - present:
            self._agents.pop(uid).stop()
        for pod in found:
            self._attempt(partial(self._sync_pod, pod))

    def _sync_pod(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if pods.is_ending(pod):
            if agent := self._agents.pop(uid, None):
                agent.stop()
            self.api.delete(pods.pod_path(pod), uid=uid, grace=0)
            return
        containers = self._sync_agent(pod) if pods.is_agent(pod) else pods.RUNNING
        if not pods.says(pod, containers):
            status = pods.status_document(pod, containers, _now())
            patch = {"metadata": {"uid": uid}, "status": status}
            self.api.strategic_patch(f"{pods.pod_path(pod)}/status", patch)

    def _sync_agent(self, pod: Object) -> pods.Containers:
        uid = pod["metadata"]["uid"]
        if uid not in self._agents:
            self._agents[uid] = AgentPod(self.api, pod, self._interface, self.directory)
        return self._agents[uid].sync(self.operator_url)


def _now() -> datetime:
    return datetime.now(UTC)
