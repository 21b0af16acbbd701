"""What the check sees of an installation that works; tests change one thing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from nodeproof_operator.check.findings import Finding, Level
from nodeproof_operator.check.judging import judge
from nodeproof_operator.check.rights import operators_rights
from nodeproof_operator.check.seen import Place, Seen
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.kinds import CUSTOM_KINDS
from nodeproof_operator.cluster.objects import ADMISSION_POLICIES, GATE_PREFIX

ROOT = Path(__file__).parents[3]
NAMESPACE, AGENTS = "nodeproof-system", "nodeproof-agents"
PLACE = Place(NAMESPACE, AGENTS, "https://nodeproof-operator.nodeproof-system.svc:8443")
DAEMON_SET_UID = "daemon-set-uid"
ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}]}


def crd(plural: str) -> Json:
    """Return a CRD as the API server serves it once it is established."""
    body: Json = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())
    return body | {"status": ESTABLISHED}


def pod(name: str, node: str = "node-1", *, ready: bool = True, **status: Any) -> Json:
    """Return a pod of the agents' DaemonSet."""
    word = "True" if ready else "False"
    return {
        "metadata": {"name": name, "ownerReferences": [{"uid": DAEMON_SET_UID}]},
        "spec": {"nodeName": node},
        "status": {"conditions": [{"type": "Ready", "status": word}]} | status,
    }


def waiting(reason: str, message: str = "") -> Json:
    """Return the part of a pod's status that says what its container waits for."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"containerStatuses": [{"name": "agent", "state": state}]}


def policy(attested: int = 2, matching: int = 2, ready: str = "True", message: str = "") -> Json:
    """Return a policy as the operator reports on it."""
    condition = {"type": "Ready", "status": ready, "message": message}
    status = {"attestedNodes": attested, "matchingNodes": matching, "conditions": [condition]}
    return {"metadata": {"name": "confidential"}, "status": status}


def result(
    node: str, outcome: str = "Passed", reason: str = "Attested", signer: str = "VCEK"
) -> Json:
    """Return a NodeAttestation."""
    return {
        "metadata": {"name": node},
        "status": {
            "signer": signer,
            "conditions": [{"type": "Attested", "status": "Unknown", "reason": reason}],
            "policies": [{"name": "confidential", "outcome": outcome}],
        },
    }


def node(name: str, *handlers: str, attested: bool = True) -> Json:
    """Return a Node whose runtime lists these handlers."""
    labels = {GATE_PREFIX + "confidential": "true"} if attested else {}
    listed = {"runtimeHandlers": [{"name": each} for each in handlers]} if handlers else {}
    return {"metadata": {"name": name, "labels": labels}, "status": listed}


def runtime_class(handler: str = "runc") -> Json:
    """Return the RuntimeClass that leads to attested nodes."""
    selector = {GATE_PREFIX + "confidential": "true"}
    return {
        "metadata": {"name": "attested"},
        "handler": handler,
        "scheduling": {"nodeSelector": selector},
    }


def daemon_set(desired: int = 2, ready: int = 2) -> Json:
    """Return the agents' DaemonSet."""
    return {
        "metadata": {"uid": DAEMON_SET_UID},
        "status": {"desiredNumberScheduled": desired, "numberReady": ready},
    }


def deployment(available: int = 2) -> Json:
    """Return the operator's Deployment."""
    return {"spec": {"replicas": 2}, "status": {"availableReplicas": available}}


def sound() -> Seen:
    """Return what is seen where all is well."""
    bound: Json = {"spec": {"validationActions": ["Deny"]}}
    return Seen(
        place=PLACE,
        crds={kind: crd(kind.value) for kind in CUSTOM_KINDS},
        admission={name: ({"spec": {}}, bound) for name in ADMISSION_POLICIES},
        rights=dict.fromkeys(operators_rights(NAMESPACE, AGENTS), True),
        deployment=deployment(),
        operator_pods=[],
        lease={"spec": {"holderIdentity": "operator-1"}},
        lease_renewed=True,
        ca={"data": {"ca.crt": "PEM"}},
        service_trouble="",
        daemon_set=daemon_set(),
        agent_pods=[pod("a", "node-1"), pod("b", "node-2")],
        nodes=[node("node-1", "runc", ""), node("node-2")],
        runtime_classes=[runtime_class(), {"metadata": {"name": "other"}, "handler": "kata"}],
        policies=[policy()],
        results=[result("node-1"), result("node-2")],
    )


def wrong(seen: Seen) -> list[Finding]:
    """Return the findings that are not ok."""
    return [each for each in judge(seen) if each.level is not Level.OK]


def only(seen: Seen) -> Finding:
    """Return the one finding that is not ok."""
    (finding,) = wrong(seen)
    return finding
