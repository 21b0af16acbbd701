"""The cluster without our admission rules for Nodes, as where somebody left them out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from nodeproof_dev.api import MERGE_PATCH
from nodeproof_dev.build import REPOSITORY
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.objects import NODES
from nodeproof_dev.process import wait_until

_KIND, _NAME = "ValidatingAdmissionPolicyBinding", "nodes.nodeproof.dev"
_SECONDS = 30.0
_PROBE = "node-rules-probe"
_IMPOSSIBLE = "9999-12-31T23:59:59-05:00"


@contextmanager
def node_rules_lifted(plane: ControlPlane) -> Iterator[None]:
    """Take away the binding of nodes.nodeproof.dev within the block, and see that it has effect."""
    documents = yaml.safe_load_all((REPOSITORY / "deploy" / "admission.yaml").read_text())
    (binding,) = (
        each for each in documents if (each["kind"], each["metadata"]["name"]) == (_KIND, _NAME)
    )
    api = plane.admin
    api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": _PROBE}})
    try:
        api.delete(api.path_of(binding))
        wait_until(lambda: not _in_force(plane), seconds=_SECONDS, what="no rules for Nodes")
        yield
    finally:
        api.apply(binding)
        wait_until(lambda: _in_force(plane), seconds=_SECONDS, what="the rules for Nodes")
        api.delete(f"{NODES}/{_PROBE}")


def _in_force(plane: ControlPlane) -> bool:
    stated = {"type": "Probe", "status": "True", "lastHeartbeatTime": _IMPOSSIBLE}
    patch = {"status": {"conditions": [stated]}}
    path = f"{NODES}/{_PROBE}/status?dryRun=All"
    status, answer = plane.admin.call("PATCH", path, patch, content_type=MERGE_PATCH)
    return status >= 400 and _NAME in str(answer)
