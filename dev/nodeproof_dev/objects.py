"""Where the story's objects are, and what one reads in them. Pure."""

from __future__ import annotations

from nodeproof_dev.api import Api, Object

POLICY = "confidential"
"""The policy that the RuntimeClass ``attested`` names (``deploy/runtimeclass.yaml``)."""

FLEET_LABEL = "demo.nodeproof.dev/fleet"
FLEET = "simulated"
"""The label, and its value, that the policy of demo and development cluster selects nodes by."""

GATE_LABEL = f"nodeproof.node-restriction.kubernetes.io/{POLICY}"
TAINT = "nodeproof.dev/unattested"

NODES = "/api/v1/nodes"
PODS = "/api/v1/namespaces/default/pods"
AGENT_PODS = (
    "/api/v1/namespaces/nodeproof-agents/pods"
    "?labelSelector=app.kubernetes.io%2Fname%3Dnodeproof-agent"
)
LEASE = "/apis/coordination.k8s.io/v1/namespaces/nodeproof-system/leases/nodeproof-operator"
_GROUP = "/apis/nodeproof.dev/v1alpha1"


def node(name: str) -> str:
    """Return the path of a Node."""
    return f"{NODES}/{name}"


def pod(name: str) -> str:
    """Return the path of a Pod of the namespace ``default``."""
    return f"{PODS}/{name}"


def attestation(name: str) -> str:
    """Return the path of a Node's NodeAttestation."""
    return f"{_GROUP}/nodeattestations/{name}"


def policy() -> str:
    """Return the path of the demo's AttestationPolicy."""
    return f"{_GROUP}/attestationpolicies/{POLICY}"


def attested_count(policy_object: Object) -> int:
    """Return how many Nodes pass a policy, by its status; -1 while it has none."""
    return int(policy_object.get("status", {}).get("attestedNodes", -1))


def served_kinds(api: Api) -> list[str]:
    """Return the kinds that the API server serves for nodeproof."""
    resources = api.get(_GROUP)["resources"]
    return sorted(each["kind"] for each in resources if "/" not in each["name"])


def lease_holder(lease: Object) -> str:
    """Return who holds a Lease; empty if nobody."""
    return str(lease.get("spec", {}).get("holderIdentity") or "")


def attested(natt: Object) -> str:
    """Return the status of a NodeAttestation's condition ``Attested``; empty if there is none."""
    conditions = natt.get("status", {}).get("conditions", [])
    return next((str(each["status"]) for each in conditions if each["type"] == "Attested"), "")


def has_label(node_object: Object) -> bool:
    """Whether a Node carries the policy's label."""
    return GATE_LABEL in node_object.get("metadata", {}).get("labels", {})


def taint_effect(node_object: Object) -> str:
    """Return the effect of our taint on a Node; empty if it has none."""
    taints = node_object.get("spec", {}).get("taints", [])
    return next((str(each["effect"]) for each in taints if each["key"] == TAINT), "")


def is_no_execute(node_object: Object) -> bool:
    """Whether our taint on a Node evicts."""
    return taint_effect(node_object) == "NoExecute"


def is_running(pod_object: Object) -> bool:
    """Whether a pod runs."""
    return bool(pod_object.get("status", {}).get("phase") == "Running")


def run_on(pods: Object, node_names: set[str]) -> bool:
    """Whether a list of pods holds one on each of these nodes that its kubelet has seen."""
    seen = {
        each["spec"].get("nodeName")
        for each in pods.get("items", [])
        if each["status"].get("containerStatuses")
    }
    return node_names <= seen


def unschedulable(pod_object: Object) -> str:
    """Return why the scheduler cannot place a pod; empty if it did not say so."""
    for condition in pod_object.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    return ""


def describe_node(node_object: Object) -> str:
    """Return a line with a Node's gate label and our taint."""
    label = f"{GATE_LABEL}=true" if has_label(node_object) else "no label"
    effect = taint_effect(node_object)
    taint = f"taint {TAINT}:{effect}" if effect else "no taint"
    return f"{node_object['metadata']['name']:<18} {label:<64} {taint}"
