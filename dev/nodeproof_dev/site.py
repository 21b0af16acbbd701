"""Where a control plane runs, and whether real kubelets belong to it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from nodeproof_dev.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Site:
    """The network around a control plane.

    Attributes:
        address: Where every component but etcd listens.
        enter: What stands before each component's command, to run it in another network namespace.
        service_range: Where the ClusterIPs of Services lie.
        has_kubelets: Whether real kubelets join. Without them there is no network in which pods
            could reach the API server, and the API server reaches no kubelet.
    """

    address: str = LOOPBACK
    enter: tuple[str, ...] = ()
    service_range: str = "10.0.0.0/24"
    has_kubelets: bool = False

    @property
    def names(self) -> list[str]:
        """The API server's names in its certificate."""
        service = "kubernetes.default.svc"
        return [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            service,
            f"{service}.cluster.local",
        ]

    @property
    def addresses(self) -> list[str]:
        """The API server's addresses in its certificate: its own, and its Service's."""
        return [self.address, str(ipaddress.ip_network(self.service_range)[1])]

    def kubelet_flags(self, files: Mapping[str, str]) -> list[str]:
        """Return what the API server is told of kubelets.

        Args:
            files: Paths of ``ca.crt``, ``kubelet-client.crt`` and ``kubelet-client.key``.
        """
        if not self.has_kubelets:
            # A loopback address is refused as the endpoint of the Service "kubernetes".
            return ["--endpoint-reconciler-type=none"]
        return [
            f"--kubelet-certificate-authority={files['ca.crt']}",
            f"--kubelet-client-certificate={files['kubelet-client.crt']}",
            f"--kubelet-client-key={files['kubelet-client.key']}",
            # Nobody resolves the nodes' names.
            "--kubelet-preferred-address-types=InternalIP",
        ]


LOCAL = Site()
"""A control plane alone, which nothing but this machine reaches."""
