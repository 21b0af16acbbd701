"""A Deployment whose pods ask for attested nodes, in the one line that its author writes."""

from __future__ import annotations

from dataclasses import dataclass

from cases.real_pods import is_ready, workload_spec
from nodeproof_dev.api import Api, Object

REPLICAS = 2

_NAMESPACE = "default"
_LABELS = {"app": "asking"}
_PODS = f"/api/v1/namespaces/{_NAMESPACE}/pods"
_ASKING = f"{_PODS}?labelSelector=app%3Dasking"
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class AskingWorkload:
    """Two pods that are spread over the nodes that may run them."""

    admin: Api

    def create(self) -> None:
        """Create the Deployment."""
        spread = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": _LABELS},
        }
        spec = workload_spec(runtimeClassName="attested", topologySpreadConstraints=[spread])
        self.admin.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "asking", "namespace": _NAMESPACE},
                "spec": {
                    "replicas": REPLICAS,
                    "selector": {"matchLabels": _LABELS},
                    "template": {"metadata": {"labels": _LABELS}, "spec": spec},
                },
            }
        )

    def delete(self) -> None:
        """Delete the Deployment."""
        self.admin.delete(f"/apis/apps/v1/namespaces/{_NAMESPACE}/deployments/asking")

    def nodes(self) -> set[str]:
        """Return the nodes of its pods."""
        return {pod["spec"]["nodeName"] for pod in _staying(self.admin.get(_ASKING))}

    def wait_on(self, *nodes: str) -> None:
        """Wait until all its pods are ready, on nodes among these."""

        def are(listed: Object) -> bool:
            pods = _staying(listed)
            return len(pods) == REPLICAS and all(
                is_ready(pod) and pod["spec"]["nodeName"] in nodes for pod in pods
            )

        self.admin.wait_for(_ASKING, are, seconds=_SECONDS, what=f"the workload on {nodes}")

    def wait_evicted(self) -> None:
        """Wait until none of its pods is on a node."""
        self.admin.wait_for(
            _ASKING,
            lambda listed: not any(pod["spec"].get("nodeName") for pod in listed["items"]),
            seconds=_SECONDS,
            what="no pod of the workload on any node",
        )

    def pinned(self, name: str, node: str) -> str:
        """Create a pod that wants this node besides; return its path."""
        spec = workload_spec(
            runtimeClassName="attested", nodeSelector={"kubernetes.io/hostname": node}
        )
        metadata = {"name": name, "namespace": _NAMESPACE}
        self.admin.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        return f"{_PODS}/{name}"


def _staying(listed: Object) -> list[Object]:
    return [pod for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"]]
