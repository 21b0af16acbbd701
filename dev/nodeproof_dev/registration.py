"""What a stand-in kubelet writes about its node: Node, status and Lease. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nodeproof_dev.api import Object

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

LEASE_SECONDS = 40
"""As kubelets take it; the node lifecycle controller believes a silent node for as long."""

ADDRESS = "192.0.2.1"
"""Where stand-in nodes and their pods say they are: an address that is nobody's (RFC 5737)."""

_RESOURCES = {"cpu": "4", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}
_HEALTHY = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID"),
    "Ready": ("True", "KubeletReady"),
}


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node is called and says of itself.

    Attributes:
        name: The Node's name.
        machine_id: Stays over reboots.
        boot_id: New with every boot.
        labels: Labels besides the usual ones; a kubelet may not set the gate's.
    """

    name: str
    machine_id: str
    boot_id: str
    labels: Mapping[str, str] = field(default_factory=dict)


def node_document(facts: NodeFacts, now: datetime) -> Object:
    """Return the Node as its kubelet registers it."""
    usual = {
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": facts.name, "labels": usual | dict(facts.labels)},
        "status": status_document(facts, now),
    }


def status_document(facts: NodeFacts, now: datetime) -> Object:
    """Return the Node's status as its kubelet writes it."""
    return {
        "addresses": [
            {"type": "InternalIP", "address": ADDRESS},
            {"type": "Hostname", "address": facts.name},
        ],
        "capacity": _RESOURCES,
        "allocatable": _RESOURCES,
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": "a stand-in kubelet says so",
                "lastHeartbeatTime": timestamp(now),
            }
            for kind, (status, reason) in _HEALTHY.items()
        ],
        "nodeInfo": {
            "machineID": facts.machine_id,
            "systemUUID": facts.machine_id,
            "bootID": facts.boot_id,
            "kernelVersion": "6.12.0",
            "osImage": "nodeproof stand-in node",
            "containerRuntimeVersion": "none://0.0.0",
            "kubeletVersion": "v1.36.3",
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
    }


def lease_document(name: str, node_uid: str, now: datetime) -> Object:
    """Return the node's Lease, which lives as long as its Node."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node_uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "ownerReferences": [owner]},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS} | renewal(now),
    }


def renewal(now: datetime) -> Object:
    """Return the part of a Lease's spec that renews it."""
    return {"renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


def timestamp(now: datetime) -> str:
    """Return a time (UTC) as metav1.Time writes it."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
