"""Pods of our own workload on real nodes, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nodeproof_dev.api import Object
from nodeproof_dev.objects import is_running
from nodeproof_dev.real.cluster import RealCluster

IMAGE = "example/workload:1"
PORT = 8080

_SECONDS = 30.0
_LABELS = {"app": "workload"}


def workload_spec(**spec: Any) -> Object:
    """Return a pod's spec: our server, with as few rights as a hardened pod has."""
    container = {
        "name": "main",
        "image": IMAGE,
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {"containers": [container], "terminationGracePeriodSeconds": 1} | spec


@dataclass(frozen=True, slots=True)
class RealPods:
    """The pods of one namespace."""

    cluster: RealCluster
    namespace: str

    def path(self, name: str) -> str:
        """Return the path of a pod."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{name}"

    def create(self, name: str, *, serves: bool = True, **spec: Any) -> None:
        """Create a pod of the workload, one that Services find if it serves."""
        labels = _LABELS if serves else {}
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
        self.cluster.admin.apply(document | {"spec": workload_spec(**spec)})

    def run(self, name: str, node: str, *, serves: bool = True) -> Object:
        """Create a pod on a node and wait until it is ready."""
        self.create(name, serves=serves, nodeName=node)
        return self.wait_ready(name)

    def wait_ready(self, name: str) -> Object:
        """Wait until a pod runs and answers, and return it."""
        return self.cluster.admin.wait_for(self.path(name), is_ready, seconds=_SECONDS)

    def wait_done(self, name: str) -> Object:
        """Wait until a pod has ended well, and return it."""
        return self.cluster.admin.wait_for(
            self.path(name),
            lambda pod: pod.get("status", {}).get("phase") == "Succeeded",
            seconds=_SECONDS,
            what=f"pod {name} to end well",
        )

    def on_every_node(self, name: str) -> dict[str, Object]:
        """Run a DaemonSet; return its pods by node, once all are ready."""
        nodes = set(self.cluster.nodes)
        self.cluster.admin.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {
                    "selector": {"matchLabels": _LABELS},
                    "template": {"metadata": {"labels": _LABELS}, "spec": workload_spec()},
                },
            }
        )
        pods = self.cluster.admin.wait_for(
            f"/api/v1/namespaces/{self.namespace}/pods",
            lambda listed: ready_nodes(listed) == nodes,
            seconds=_SECONDS,
            what="a ready pod on every node",
        )
        return {pod["spec"]["nodeName"]: pod for pod in pods["items"]}

    def serve(self, name: str) -> None:
        """Put a Service before all pods."""
        self.cluster.admin.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"selector": _LABELS, "ports": [{"port": 80, "targetPort": PORT}]},
            }
        )

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in this namespace."""
        return self.cluster.plane.kubectl("--namespace", self.namespace, *arguments)

    def get(self, pod: str, url: str) -> str:
        """Ask a URL from within a pod and return the answer."""
        return self.kubectl("exec", pod, "--", "/workload", "get", url).strip()


def is_ready(pod: Object) -> bool:
    """Whether a pod runs and answers."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = ("Ready", "True") in {(each["type"], each["status"]) for each in conditions}
    return is_running(pod) and ready


def ready_nodes(pods: Object) -> set[str]:
    """Return the nodes that have a ready pod of a list."""
    return {pod["spec"]["nodeName"] for pod in pods.get("items", []) if is_ready(pod)}
