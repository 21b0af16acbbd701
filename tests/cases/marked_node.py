"""A Node with marks of ours and of others, and attempts on it that change nothing.

Every attempt is a dry run, which passes admission as the real request would, against a Node whose
marks were read just before: no operator that runs beside can change the outcome.
"""

from __future__ import annotations

import pytest

from nodeproof_dev.api import MERGE_PATCH, Api, Object
from nodeproof_dev.controlplane import ControlPlane

GATE = "nodeproof.node-restriction.kubernetes.io/"
OURS = "nodeproof.dev/unattested"
_CONFLICT = 409
_ATTEMPTS = 50

FOREIGN_TAINTS = [
    {"key": "example.org/one", "effect": "PreferNoSchedule"},
    {"key": "example.org/two", "effect": "PreferNoSchedule"},
]
MARKS = {
    "metadata": {
        "labels": {f"{GATE}marked": "true", "example.org/zone": "a"},
        "annotations": {"example.org/note": "kept"},
    },
    "spec": {"taints": [*FOREIGN_TAINTS, {"key": OURS, "effect": "NoSchedule"}]},
}


def kubelet(plane: ControlPlane, name: str) -> Api:
    return plane.identity(f"system:node:{name}", ("system:nodes",))


def node_document(name: str, **metadata: object) -> Object:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name} | metadata}


def labels(**values: str | None) -> Object:
    return {"metadata": {"labels": {f"{GATE}{name}": value for name, value in values.items()}}}


def our_taint(effect: str | None) -> Object:
    ours = [{"key": OURS, "effect": effect}] if effect else []
    return {"spec": {"taints": [*FOREIGN_TAINTS, *ours]}}


def attempted(
    admin: Api, node: str, api: Api, patch: Object, subresource: str = ""
) -> tuple[int, str]:
    """Try a merge patch on the marked Node, given by its path; return status and message."""
    for _ in range(_ATTEMPTS):
        marked = admin.merge_patch(node, MARKS)
        version = {"resourceVersion": marked["metadata"]["resourceVersion"]}
        body = patch | {"metadata": patch.get("metadata", {}) | version}
        path = f"{node}{subresource}?dryRun=All"
        status, answer = api.call("PATCH", path, body, content_type=MERGE_PATCH)
        if status != _CONFLICT:
            return status, answer.get("message", "")
    pytest.fail("somebody else writes to the Node all the time")


SET_LABEL = labels(confidential="true")
CHANGE_LABEL = labels(marked="false")
REMOVE_LABEL = labels(marked=None)
