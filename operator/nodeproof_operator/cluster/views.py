"""What decisions need to know of a Node and of a NodeAttestation: little, immutable, distrusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from nodeproof.result import NodeAttestationStatus
from nodeproof_operator.cluster.objects import GATE_PREFIX, TAINT_KEY

_CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True, slots=True)
class NodeView:
    """A Node, as far as decisions look at it.

    ``boot_id`` and most labels are the kubelet's own words: they may only lower trust.
    """

    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, Any], ...]
    """Raw, order kept: others' taints go back exactly as they came."""
    boot_id: str
    deleting: bool
    has_managed_fields: bool = False

    @property
    def gate_labels(self) -> Mapping[str, str]:
        """Our labels on this Node."""
        return {k: v for k, v in self.labels.items() if k.startswith(GATE_PREFIX)}

    @property
    def taint_effect(self) -> str | None:
        """The effect of our taint, the strongest if there are several, or None."""
        effects = {taint.get("effect") for taint in self.taints if taint.get("key") == TAINT_KEY}
        return next((each for each in ("NoExecute", "NoSchedule") if each in effects), None)

    @property
    def control_plane(self) -> bool:
        """Whether the Node carries the control plane's role label."""
        return _CONTROL_PLANE_LABEL in self.labels


@dataclass(frozen=True, slots=True)
class Record:
    """A NodeAttestation: where evidence and result of one Node registration are kept."""

    name: str
    uid: str
    resource_version: str
    node_uid: str
    status: NodeAttestationStatus


def view_node(body: Mapping[str, Any]) -> NodeView:
    """Return the view of a raw Node; odd shapes count as absent."""
    metadata = body["metadata"]
    info = _mapping(_mapping(body.get("status")).get("nodeInfo"))
    taints = _mapping(body.get("spec")).get("taints")
    labels = _mapping(metadata.get("labels"))
    return NodeView(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        labels={key: value for key, value in labels.items() if isinstance(value, str)},
        taints=tuple(each for each in _sequence(taints) if isinstance(each, Mapping)),
        boot_id=str(info.get("bootID") or ""),
        deleting="deletionTimestamp" in metadata,
        has_managed_fields=bool(metadata.get("managedFields")),
    )


def view_record(body: Mapping[str, Any]) -> Record:
    """Return the view of a raw NodeAttestation; a status that cannot be read counts as empty."""
    metadata = body["metadata"]
    try:
        status = msgspec.convert(body.get("status") or {}, type=NodeAttestationStatus)
    except msgspec.ValidationError:
        status = NodeAttestationStatus()
    return Record(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        node_uid=str(_mapping(body.get("spec")).get("nodeUID", "")),
        status=status,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
