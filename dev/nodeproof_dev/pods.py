"""What a stand-in kubelet says about pods that run in name only. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nodeproof_dev.api import Object
from nodeproof_dev.registration import ADDRESS, timestamp

AGENT_NAMESPACE = "nodeproof-agents"
AGENT_DAEMON_SET = "nodeproof-agent"


@dataclass(frozen=True, slots=True)
class Containers:
    """How the containers of a pod fare: running, or waiting for a reason."""

    waiting_reason: str = ""
    waiting_message: str = ""

    @property
    def running(self) -> bool:
        """Whether they run."""
        return not self.waiting_reason


RUNNING = Containers()
NO_PLATFORM = Containers(
    "CrashLoopBackOff", "this stand-in node has no platform: no agent runs, no evidence at all"
)
CRASHED = Containers("CrashLoopBackOff", "the agent's process ended; it is started again")


def pods_path(node: str) -> str:
    """Return the path that lists one node's pods, as its kubelet may."""
    return f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}"


def pod_path(pod: Object) -> str:
    """Return the path of a pod."""
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"


def is_agent(pod: Object) -> bool:
    """Return whether a pod is controlled by the agents' DaemonSet."""
    metadata = pod["metadata"]
    return metadata["namespace"] == AGENT_NAMESPACE and any(
        (owner["kind"], owner["name"], owner.get("controller"))
        == ("DaemonSet", AGENT_DAEMON_SET, True)
        for owner in metadata.get("ownerReferences", [])
    )


def is_ending(pod: Object) -> bool:
    """Return whether a pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def says(pod: Object, containers: Containers) -> bool:
    """Return whether the pod's status already says how its containers fare."""
    status = pod.get("status", {})
    ready = {each["type"]: each["status"] for each in status.get("conditions", [])}.get("Ready")
    return status.get("phase") == "Running" and ready == _word(containers.running)


def status_document(pod: Object, containers: Containers, now: datetime) -> Object:
    """Return the pod's status as a kubelet writes it once the containers were started."""
    started = pod.get("status", {}).get("startTime") or timestamp(now)
    kinds = {"PodScheduled": True, "PodReadyToStartContainers": True, "Initialized": True}
    kinds |= {"ContainersReady": containers.running, "Ready": containers.running}
    return {
        "phase": "Running",
        "hostIP": ADDRESS,
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "startTime": started,
        "conditions": [
            {"type": kind, "status": _word(true), "lastTransitionTime": timestamp(now)}
            for kind, true in kinds.items()
        ],
        "containerStatuses": [
            _container(spec, containers, started) for spec in pod["spec"]["containers"]
        ],
    }


def _container(spec: Object, containers: Containers, started: str) -> Object:
    running = {"running": {"startedAt": started}}
    waiting = {
        "waiting": {"reason": containers.waiting_reason, "message": containers.waiting_message}
    }
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "ready": containers.running,
        "started": containers.running,
        "restartCount": 0,
        "state": running if containers.running else waiting,
    }


def _word(true: bool) -> str:  # noqa: FBT001 - a truth value is all there is
    return "True" if true else "False"
