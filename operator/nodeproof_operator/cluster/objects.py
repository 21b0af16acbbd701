"""Where the objects that the operator touches live in the API, and what they are called."""

from __future__ import annotations

from urllib.parse import quote

from nodeproof.policy import GROUP, VERSION

OPERATOR = "nodeproof-operator"
"""The operator's Lease, Service and ServiceAccount."""

AGENT = "nodeproof-agent"
"""The agent's DaemonSet and ServiceAccount."""

CHALLENGE_KEYS = "nodeproof-challenge-keys"
"""Secret with the challenge keys, and ConfigMap with their public halves for auditors."""

SERVING_CERTIFICATE = "nodeproof-serving-certificate"
"""Secret with the CA and certificate of the evidence service."""

CA_BUNDLE = "nodeproof-ca"
"""ConfigMap whose ``ca.crt`` agents trust."""

ENDORSEMENTS = "nodeproof-endorsements"
"""ConfigMaps, one a product, with AMD's chains and revocation lists as they were fetched."""

NAMESPACE = "nodeproof-system"
"""The operator's namespace, unless told otherwise."""

AGENT_NAMESPACE = "nodeproof-agents"
"""The agents' namespace, unless told otherwise: its Pod Security level lets them see the host."""

GATE_PREFIX = "nodeproof.node-restriction.kubernetes.io/"
"""Labels under it can be set by no kubelet (admission plugin NodeRestriction)."""

GATE_VALUE = "true"

TAINT_KEY = "nodeproof.dev/unattested"

NODES = "/api/v1/nodes"
CLUSTER_IDENTITY = "/api/v1/namespaces/kube-system"
"""The UID of this namespace is the cluster's identity, by common use."""
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path

ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"

ADMISSION_POLICIES = (
    f"nodes.{GROUP}",
    f"operator-limits.{GROUP}",
    f"nodeattestations.{GROUP}",
)
"""Our ValidatingAdmissionPolicies, and their bindings, by name."""

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

_OURS = f"/apis/{GROUP}/{VERSION}"
POLICIES = f"{_OURS}/attestationpolicies"
REFERENCE_VALUE_SETS = f"{_OURS}/referencevaluesets"
NODE_ATTESTATIONS = f"{_OURS}/nodeattestations"


def node(name: str) -> str:
    """Return the path of a Node."""
    return f"{NODES}/{_part(name)}"


def node_attestation(name: str) -> str:
    """Return the path of the NodeAttestation of the Node with this name."""
    return f"{NODE_ATTESTATIONS}/{_part(name)}"


def policy(name: str) -> str:
    """Return the path of an AttestationPolicy."""
    return f"{POLICIES}/{_part(name)}"


def custom_resource_definition(plural: str) -> str:
    """Return the path of the CRD of one of our kinds, by the kind's plural."""
    return f"{CRDS}/{_part(plural)}.{GROUP}"


def pods(namespace: str) -> str:
    """Return the path of a namespace's Pods."""
    return f"/api/v1/namespaces/{_part(namespace)}/pods"


def pod(namespace: str, name: str) -> str:
    """Return the path of a Pod."""
    return f"{pods(namespace)}/{_part(name)}"


def admission_policy(name: str) -> str:
    """Return the path of a ValidatingAdmissionPolicy."""
    return f"{_ADMISSION}/validatingadmissionpolicies/{_part(name)}"


def admission_binding(name: str) -> str:
    """Return the path of a ValidatingAdmissionPolicyBinding."""
    return f"{_ADMISSION}/validatingadmissionpolicybindings/{_part(name)}"


def secret(namespace: str, name: str) -> str:
    """Return the path of a Secret."""
    return f"/api/v1/namespaces/{_part(namespace)}/secrets/{_part(name)}"


def config_map(namespace: str, name: str) -> str:
    """Return the path of a ConfigMap."""
    return f"{config_maps(namespace)}/{_part(name)}"


def config_maps(namespace: str) -> str:
    """Return the path of a namespace's ConfigMaps."""
    return f"/api/v1/namespaces/{_part(namespace)}/configmaps"


def endorsements(product: str) -> str:
    """Return the name of the ConfigMap for a product's chains and revocation lists."""
    return f"{ENDORSEMENTS}-{product.lower()}"


def daemon_set(namespace: str, name: str) -> str:
    """Return the path of a DaemonSet."""
    return f"/apis/apps/v1/namespaces/{_part(namespace)}/daemonsets/{_part(name)}"


def deployment(namespace: str, name: str) -> str:
    """Return the path of a Deployment."""
    return f"/apis/apps/v1/namespaces/{_part(namespace)}/deployments/{_part(name)}"


def leases(namespace: str) -> str:
    """Return the path of a namespace's Leases."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{_part(namespace)}/leases"


def lease(namespace: str, name: str) -> str:
    """Return the path of a Lease."""
    return f"{leases(namespace)}/{_part(name)}"


def _part(name: str) -> str:
    """Return a name that stays one part of a path, wherever it came from."""
    return quote(name, safe="")
