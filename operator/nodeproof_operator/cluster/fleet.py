"""This process's own view of Nodes, results, policies and reference values.

Every replica keeps one, fed by watch events and by complete lists. It is hostile ground: whatever a
kubelet wrote into its Node, the view of all others stays whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from nodeproof.errors import PolicyInvalid
from nodeproof.policy import Policy, ReferenceValueSet, decode_policy, decode_reference_values
from nodeproof_operator.cluster.gateway import Listing
from nodeproof_operator.cluster.kinds import Key, Kind
from nodeproof_operator.cluster.shelf import Entry, Shelf
from nodeproof_operator.cluster.views import NodeView, Record, view_node, view_record

DELETED = "DELETED"
"""The type of the watch event that ends an object; any other type carries its newest state."""

_logger = structlog.get_logger()


class Fleet:
    """The newest known state of all watched objects; belongs to one event loop.

    Attributes:
        skipped: How many objects could not be read since the start.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._nodes = Shelf[NodeView](_unversioned)
        self._records = Shelf[Record](_unversioned)
        self._policies = Shelf[Policy | PolicyInvalid](_comparable)
        self._reference_values = Shelf[ReferenceValueSet | PolicyInvalid](_comparable)
        self._shelves: dict[Kind, Shelf[Any]] = {
            Kind.NODE: self._nodes,
            Kind.NODE_ATTESTATION: self._records,
            Kind.POLICY: self._policies,
            Kind.REFERENCE_VALUE_SET: self._reference_values,
        }
        self._listed: set[Kind] = set()

    @property
    def complete(self) -> bool:
        """Whether a complete list of each kind has been taken in."""
        return len(self._listed) == len(Kind)

    def nodes(self) -> Mapping[str, NodeView]:
        """Return all Nodes by name, as of now."""
        return self._nodes.views

    def node(self, name: str) -> NodeView | None:
        """Return a Node, if it is known."""
        return self._nodes.get(name)

    def records(self) -> Mapping[str, Record]:
        """Return all NodeAttestations by name, as of now."""
        return self._records.views

    def record(self, name: str) -> Record | None:
        """Return the NodeAttestation of a Node, if it is known."""
        return self._records.get(name)

    def policies(self) -> Mapping[str, Policy | PolicyInvalid]:
        """Return all policies by name; one that cannot be read shows why."""
        return self._policies.views

    def reference_values(self) -> Mapping[str, ReferenceValueSet | PolicyInvalid]:
        """Return all reference value sets by name; one that cannot be read shows why."""
        return self._reference_values.views

    def observe(self, kind: Kind, event_type: str | None, body: Mapping[str, Any]) -> set[Key]:
        """Take in one watch event; return what changed, which is nothing for old news.

        Never raises: an object that cannot be read is counted in ``skipped``.
        """
        entry = self._entry(kind, body)
        if entry is None:
            return set()
        shelf = self._shelves[kind]
        if event_type == DELETED:
            changed = shelf.remove(entry.name, entry.uid, entry.version)
        else:
            changed = shelf.put(entry)
        return {Key(kind, entry.name)} if changed else set()

    def replace(self, kind: Kind, listing: Listing) -> set[Key]:
        """Take in a complete list; return what changed.

        What the list does not hold is gone, unless it is known to be newer than the list.
        """
        entries = [self._entry(kind, body) for body in listing.items]
        unread = {
            _name(body) for body, entry in zip(listing.items, entries, strict=True) if not entry
        }
        changed = self._shelves[kind].replace(
            filter(None, entries), int(listing.resource_version), unread
        )
        self._listed.add(kind)
        return {Key(kind, name) for name in changed}

    def _entry(self, kind: Kind, body: Mapping[str, Any]) -> Entry[Any] | None:
        try:
            return _read(kind, body)
        except Exception as error:  # noqa: BLE001 - hostile input: no shape of it may blind us
            self.skipped += 1
            _logger.warning(
                "object skipped", kind=kind.value, name=_name(body), error=type(error).__name__
            )
            return None


def _read(kind: Kind, body: Mapping[str, Any]) -> Entry[Any]:
    head = msgspec.convert(body["metadata"], type=_Head)
    return Entry(head.name, head.uid, int(head.resource_version), _READERS[kind](body))


class _Head(msgspec.Struct, frozen=True, rename="camel"):
    """What every object's metadata must hold to be kept at all."""

    name: str
    uid: str
    resource_version: str


def _unversioned(view: NodeView | Record) -> object:
    """Return what counts of a view: a kubelet's heartbeat changes nothing but the version."""
    return replace(view, resource_version="")


def _comparable(view: object) -> object:
    return str(view) if isinstance(view, PolicyInvalid) else view


def _policy(body: Mapping[str, Any]) -> Policy | PolicyInvalid:
    try:
        return decode_policy(body)
    except PolicyInvalid as error:
        return error


def _reference_values(body: Mapping[str, Any]) -> ReferenceValueSet | PolicyInvalid:
    try:
        return decode_reference_values(body)
    except PolicyInvalid as error:
        return error


def _name(body: Any) -> str:
    """Return the name of an object that may have any shape, for the log."""
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    return str(metadata.get("name", ""))[:253] if isinstance(metadata, Mapping) else ""


_READERS: Mapping[Kind, Callable[[Mapping[str, Any]], Any]] = {
    Kind.NODE: view_node,
    Kind.NODE_ATTESTATION: view_record,
    Kind.POLICY: _policy,
    Kind.REFERENCE_VALUE_SET: _reference_values,
}
