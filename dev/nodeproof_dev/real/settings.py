"""The files that a node's programs read, and their command lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nodeproof_dev.real.addresses import Addresses
from nodeproof_dev.real.blueprint import CONNECTED, DISK, PROGRAMS, Service

SOCKET = "/run/containerd/containerd.sock"
"""Where a node's containerd listens."""

CLUSTER_DOMAIN = "cluster.local"
BOOT_ID = "boot-id"
"""The file, among a node's settings, with the boot ID that its kubelet tells."""

PAUSE_IMAGE = "localhost/pause:1"
"""The image of every pod's first process."""

WORKLOAD_IMAGE = "docker.io/example/workload:1"
"""The image of what runs in our pods, which call it ``example/workload:1``."""

IMAGES = {"pause": PAUSE_IMAGE, "workload": WORKLOAD_IMAGE}
"""The images that every node has, by the program of ours that each of them runs."""

IMAGES_DIRECTORY = f"{PROGRAMS}/images"

_ETC = f"{DISK}/etc"
_NODE = f"{PROGRAMS}/node/node"
_NETWORK = f"{DISK}/{CONNECTED}"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What tells one node from another.

    Attributes:
        name: The Node's name.
        number: Its number in the cluster, from 1.
        addresses: The cluster's network.
        cgroup: The control group for its pods.
        labels: Labels that it gives itself when it registers.
    """

    name: str
    number: int
    addresses: Addresses
    cgroup: str
    labels: Mapping[str, str]

    def files(self) -> dict[str, str]:
        """Return the settings by file name."""
        return {
            "containerd.toml": _containerd(),
            "cni/10-pods.conflist": json.dumps(self._pod_network()),
            "kubelet.yaml": yaml.safe_dump(self._kubelet()),
            "kube-proxy.yaml": yaml.safe_dump(self._kube_proxy()),
            "resolv.conf": f"nameserver {self.addresses.names}\n",
        }

    def services(self) -> tuple[Service, ...]:
        """Return what the node runs: containerd, and once it has our images, the rest."""
        load = ("ctr", f"--address={SOCKET}", "--namespace=k8s.io", "images", "import")
        labels = ",".join(f"{key}={value}" for key, value in self.labels.items())
        kubelet = (
            f"--config={_ETC}/kubelet.yaml",
            f"--kubeconfig={_ETC}/kubelet.kubeconfig",
            f"--hostname-override={self.name}",
            f"--node-ip={self.addresses.node(self.number)}",
            f"--boot-id-file={_ETC}/{BOOT_ID}",
            f"--machine-id-file={_ETC}/machine-id",
            f"--node-labels={labels}",
        )
        imports = [
            Service(name, (*load, f"{IMAGES_DIRECTORY}/{name}.tar"), needs=(SOCKET,), once=True)
            for name in IMAGES
        ]
        imported = tuple(f"/run/{name}.done" for name in IMAGES)
        return (
            Service("containerd", ("containerd", f"--config={_ETC}/containerd.toml")),
            *imports,
            Service("kubelet", (_NODE, "kubelet", *kubelet), needs=imported),
            Service("kube-proxy", (_NODE, "kube-proxy", f"--config={_ETC}/kube-proxy.yaml")),
        )

    def _pod_network(self) -> dict[str, Any]:
        # Point to point: what one pod sends to another passes the node's own routing, and so
        # kube-proxy's rules, which a bridge between pods would pass by.
        pods = {
            "type": "host-local",
            "ranges": [[{"subnet": self.addresses.pods_of(self.number)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [{"type": "ptp", "ipam": pods}, ports],
        }

    def _kubelet(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{_ETC}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{_ETC}/kubelet.crt",
            "tlsPrivateKeyFile": f"{_ETC}/kubelet.key",
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "address": self.addresses.node(self.number),
            "clusterDNS": [self.addresses.names],
            "clusterDomain": CLUSTER_DOMAIN,
            "resolvConf": f"{_ETC}/resolv.conf",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,  # to lower it takes CAP_SYS_RESOURCE, which root may lack
            "podLogsDir": f"{DISK}/log/pods",
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            # The disk is the host's: how full that is shall not evict pods here.
            "evictionHard": {"memory.available": "1Mi"},
            "imageGCHighThresholdPercent": 100,
            # How soon a node that was switched on says that it is Ready: by default ten seconds.
            "nodeStatusUpdateFrequency": "1s",
            # How soon pods see a mounted ConfigMap change: by default after a minute or more.
            "syncFrequency": "5s",
        }

    def _kube_proxy(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": f"{_ETC}/kube-proxy.kubeconfig"},
            "hostnameOverride": self.name,
            "clusterCIDR": self.addresses.pods,
            "oomScoreAdj": 0,
            # These limits are the kernel's as a whole, not a network namespace's.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }


def names_service() -> Service:
    """Return CoreDNS; it starts once it has a kubeconfig."""
    needs = (_NETWORK, f"{_ETC}/dns.kubeconfig")
    return Service("coredns", (f"{PROGRAMS}/node/coredns", f"-conf={_ETC}/Corefile"), needs)


def write_names_settings(directory: Path, addresses: Addresses) -> None:
    """Write what CoreDNS reads into a machine's directory."""
    (directory / "etc").mkdir(parents=True, exist_ok=True)
    (directory / "etc" / "Corefile").write_text(
        f"""\
.:53 {{
    errors
    health {addresses.names}:8080
    ready {addresses.names}:8181
    cache 5
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {_ETC}/dns.kubeconfig
        ttl 5
    }}
}}
"""
    )


def _containerd() -> str:
    return f"""\
version = 3

[grpc]
  address = "{SOCKET}"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE_IMAGE}"

[plugins.'io.containerd.cri.v1.runtime']
  # A profile would be loaded into the kernel for the whole host.
  disable_apparmor = true
  # To go below its own score takes CAP_SYS_RESOURCE, which root may lack.
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{PROGRAMS}/containerd"]
  conf_dir = "{_ETC}/cni"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{PROGRAMS}/runtime/runc"
"""
