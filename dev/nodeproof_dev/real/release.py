"""nodeproof on a cluster with real nodes: our images, installed by Helm as an admin would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeproof_dev import objects
from nodeproof_dev.errors import NotReadyInTime
from nodeproof_dev.helm import NAMESPACE, Helm
from nodeproof_dev.images.building import Images
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.real.cluster import RealCluster, in_parallel
from nodeproof_dev.real.node import SIMULATED, RealNode

REGISTRY = "localhost"
"""What stands in for a registry in the images' names; nothing is ever pulled from it."""

METRICS_PORT = 9090
"""Where the operator's pods serve metrics."""

_OPERATOR_PODS = (
    f"/api/v1/namespaces/{NAMESPACE}/pods"
    "?labelSelector=app.kubernetes.io%2Fname%3Dnodeproof-operator"
)


class Release:
    """The release of our chart on one cluster.

    Attributes:
        helm: Helm for this cluster; for upgrades, tests and whatever else an admin does.
    """

    def __init__(self, cluster: RealCluster, images: Images, platforms: Platforms) -> None:
        """Prepare the release.

        Args:
            cluster: A cluster that runs.
            images: What its nodes are given.
            platforms: Whose simulated machines the operator is told to accept.
        """
        self.helm = Helm.built(cluster.admin_kubeconfig)
        self._cluster = cluster
        self._images = images
        self._platforms = platforms

    @property
    def values(self) -> dict[str, Any]:
        """The chart's values for nodes with simulated machines, from which nothing is reached."""
        return {
            "image": {"registry": REGISTRY, "pullPolicy": "Never"},
            "operator": {
                "kds": {"url": "off"},
                "allowSimulated": {"ark": self._platforms.ark.read_text()},
            },
            "agent": {"provider": "simulated", "simulated": {"hostPath": SIMULATED}},
        }

    def load_images(self) -> None:
        """Give every node the images of agent and operator.

        Raises:
            ComponentFailed: A node does not take one.
        """
        in_parallel(list(self._cluster.nodes.values()), self._load)

    def install(self, values: Mapping[str, Any] | None = None, *options: str) -> str:
        """Install the chart and wait until its pods are ready; return what Helm says.

        Args:
            values: The chart's values, if not ``values``.
            options: Further options of ``helm install``.

        Raises:
            HelmFailed: It is refused, or its pods are not ready in time.
        """
        return self.helm.install(values or self.values, "--wait", *options)

    def operator_metrics_url(self) -> str:
        """Return the metrics page of the replica that leads, as this machine reaches it.

        Raises:
            NotReadyInTime: No replica leads.
        """
        admin = self._cluster.admin
        leader = objects.lease_holder(admin.get(objects.LEASE))
        for pod in admin.items(_OPERATOR_PODS):
            if pod["metadata"]["name"] in leader and pod["status"].get("podIP"):
                return f"http://{pod['status']['podIP']}:{METRICS_PORT}/metrics"
        raise NotReadyInTime("no replica of the operator leads", observed=leader)

    def _load(self, node: RealNode) -> None:
        for target, image in self._images.built.items():
            node.import_image(self._images.archive(target).path, f"{REGISTRY}/{image.reference}")
