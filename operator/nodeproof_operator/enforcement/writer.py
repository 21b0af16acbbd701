"""The only place that writes to Nodes, in the two ways that a hostile kubelet cannot stop.

**Raising** trust is one merge patch, conditional on uid and resourceVersion: what it was decided on
is what it changes. **Lowering** trust must not wait for a node that changes its status all the
time: labels go by a merge patch conditional on the uid alone, then the taint by a JSON Patch that
tests uid and taints. **Withdrawing** everything of ours, when nodeproof is taken away, goes the
same way: no node keeps what is ours by being busy. All of them blank ``status`` and
``managedFields``: the server keeps the stored ones, but without that a Node with a time of year
10000 in them could not be patched at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from nodeproof_operator.cluster import objects
from nodeproof_operator.cluster.errors import ApiError, Conflict, Invalid, NotFound, Unreachable
from nodeproof_operator.cluster.gateway import (
    JSON_PATCH,
    MERGE_PATCH,
    REQUEST_TIMEOUT_SECONDS,
    Gateway,
    Json,
)
from nodeproof_operator.cluster.views import NodeView, view_node
from nodeproof_operator.enforcement.desired import Change, Lower, Raise, Withdraw
from nodeproof_operator.enforcement.errors import LeadershipUncertain, WriterClosed
from nodeproof_operator.enforcement.taints import has_ours, strength, with_effect

TAINT_ATTEMPTS = 5
"""Tries to set the taint; each fails only if somebody changed the taints within milliseconds."""


class Leadership(Protocol):
    """How long this process surely leads (``cluster.lease.LeaseElector``)."""

    def remaining(self) -> float:
        """Return seconds; 0 if it does not lead."""
        ...


class Gate:
    """Whether this process may write now: its lists are complete, and it leads for long enough."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership
        self._open = False

    def open(self) -> None:
        """Allow writing: complete lists of all kinds are in."""
        self._open = True

    def close(self) -> None:
        """Forbid writing until the next ``open``."""
        self._open = False

    def check(self) -> None:
        """Check that a request sent now ends within this process's leadership.

        Raises:
            WriterClosed: The lists are not known to be complete.
            LeadershipUncertain: The Lease may end while a request is under way.
        """
        if not self._open:
            raise WriterClosed("nothing is written before this process has complete lists")
        remaining = self._leadership.remaining()
        if remaining <= REQUEST_TIMEOUT_SECONDS:
            raise LeadershipUncertain(
                "the Lease may end before a write does",
                expected=f"more than {REQUEST_TIMEOUT_SECONDS:.0f} s",
                observed=f"{remaining:.1f} s",
            )


class Writer:
    """Sends changes to Nodes.

    Args:
        gateway: The door to the API server.
        gate: Asked before every single request.
        clock: The time, with time zone.
        count: Told of every change tried: action (``raise``, ``lower``,
            ``withdraw``) and result.
        observe: Given every Node as the server returned it, so that nobody decides on an older one.
    """

    def __init__(
        self,
        gateway: Gateway,
        gate: Gate,
        *,
        clock: Callable[[], datetime],
        count: Callable[[str, str], None],
        observe: Callable[[Json], object],
    ) -> None:
        self._gateway = gateway
        self._gate = gate
        self._clock = clock
        self._count = count
        self._observe = observe

    async def apply(self, node: NodeView, change: Change) -> NodeView | None:
        """Make a change and return the Node as it is then; None if this Node is gone.

        Raises:
            WriterClosed, LeadershipUncertain: Nothing was sent.
            Conflict: The Node has changed since it was looked at, and trust was to be raised.
            ApiError: The API server did not do it.
        """
        action = _ACTIONS[type(change)]
        try:
            after = await self._apply(node, change)
        except (ApiError, WriterClosed, LeadershipUncertain) as error:
            self._count(action, _RESULTS.get(type(error), "refused"))
            raise
        self._count(action, "done" if after else "gone")
        return after

    async def _apply(self, node: NodeView, change: Change) -> NodeView | None:
        try:
            if isinstance(change, Raise):
                return await self._raise(node, change)
            if isinstance(change, Withdraw):
                return await self._withdraw(node, change)
            return await self._lower(node, change)
        except NotFound:
            return None

    async def _raise(self, node: NodeView, change: Raise) -> NodeView | None:
        patch = {
            "metadata": {
                "uid": node.uid,
                "resourceVersion": node.resource_version,
                "labels": dict.fromkeys(change.gate_labels, objects.GATE_VALUE),
                "managedFields": None,
            },
            "spec": {"taints": with_effect(node.taints, change.taint_effect, self._clock())},
            "status": None,
        }
        return await self._send_or_gone(node, patch, MERGE_PATCH)

    async def _lower(self, node: NodeView, change: Lower) -> NodeView | None:
        current: NodeView | None = node
        if change.gate_labels:
            current = await self._remove_labels(node, change.gate_labels)
        if current is not None and change.taint_effect is not None:
            current = await self._set_taint(current, change.taint_effect)
        return current

    async def _withdraw(self, node: NodeView, change: Withdraw) -> NodeView | None:
        current: NodeView | None = node
        if change.gate_labels:
            current = await self._remove_labels(node, change.gate_labels)
        if current is not None and has_ours(current.taints):
            current = await self._set_taint(current, None)
        return current

    async def _remove_labels(self, node: NodeView, labels: frozenset[str]) -> NodeView | None:
        patch = {
            "metadata": {
                "uid": node.uid,
                "labels": dict.fromkeys(labels),
                "managedFields": None,
            },
            "status": None,
        }
        return await self._send_or_gone(node, patch, MERGE_PATCH)

    async def _set_taint(self, node: NodeView, effect: str | None) -> NodeView | None:
        for _ in range(TAINT_ATTEMPTS - 1):
            try:
                return await self._taint(node, effect)
            except Invalid:
                current = await self._read(node)
            if current is None or _is_done(current, effect):
                return current
            node = current
        return await self._taint(node, effect)

    async def _taint(self, node: NodeView, effect: str | None) -> NodeView:
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": node.uid},
            {"op": "test", "path": "/spec/taints", "value": list(node.taints) or None},
            {
                "op": "add",
                "path": "/spec/taints",
                "value": with_effect(node.taints, effect, self._clock()),
            },
            {"op": "add", "path": "/status", "value": {}},
        ]
        if node.has_managed_fields:
            patch.append({"op": "remove", "path": "/metadata/managedFields"})
        return await self._send(node, patch, JSON_PATCH)

    async def _send_or_gone(
        self, node: NodeView, patch: Mapping[str, Any], content_type: str
    ) -> NodeView | None:
        try:
            return await self._send(node, patch, content_type)
        except Invalid:
            # A uid that does not fit comes as 422, like content that the server refuses.
            if await self._read(node) is None:
                return None
            raise

    async def _send(
        self, node: NodeView, patch: Mapping[str, Any] | Sequence[Any], content_type: str
    ) -> NodeView:
        self._gate.check()
        body = await self._gateway.call(
            "PATCH", objects.node(node.name), patch, content_type=content_type
        )
        self._observe(body)
        return view_node(body)

    async def _read(self, node: NodeView) -> NodeView | None:
        """Return the Node as it is now, or None if it is another registration."""
        body = await self._gateway.call("GET", objects.node(node.name))
        self._observe(body)
        current = view_node(body)
        return current if current.uid == node.uid else None


def _is_done(node: NodeView, effect: str | None) -> bool:
    """Tell whether a Node is tainted at least so, or not at all if that is wanted."""
    if effect is None:
        return not has_ours(node.taints)
    return strength(node.taint_effect) >= strength(effect)


_ACTIONS: Mapping[type[Change], str] = {Raise: "raise", Lower: "lower", Withdraw: "withdraw"}

_RESULTS: Mapping[type[Exception], str] = {
    Conflict: "conflict",
    Unreachable: "unreachable",
    WriterClosed: "closed",
    LeadershipUncertain: "not_leading",
}
