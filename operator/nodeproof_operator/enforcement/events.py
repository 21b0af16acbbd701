"""One Event on the Node for every change of its condition ``Attested``.

For people who run ``kubectl describe node``. Never in the way: what does not fit in the short line
is dropped, and a failed post is only logged.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from nodeproof.errors import NodeproofError
from nodeproof.policy import GROUP
from nodeproof.result import Condition, Reason, Status
from nodeproof_operator.cluster.gateway import Gateway, Json
from nodeproof_operator.cluster.views import NodeView

EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
"""Events about Nodes, which have no namespace, live in ``default``; elsewhere they are refused."""

MAX_NOTE_LENGTH = 1024
"""Bytes of a note that the API server accepts."""

MAX_WAITING = 256
"""Events in the line; more at once is a storm, in which single Events help nobody."""

CONTROLLER = f"{GROUP}/operator"

_LOG = structlog.get_logger()


class EventPoster:
    """Posts Events in the background.

    Args:
        gateway: The door to the API server.
        instance: This replica's name, at most 128 characters.
        clock: The time, with time zone.
    """

    def __init__(self, gateway: Gateway, instance: str, clock: Callable[[], datetime]) -> None:
        self._gateway = gateway
        self._instance = instance[:128]
        self._clock = clock
        self._waiting: asyncio.Queue[Json] = asyncio.Queue(MAX_WAITING)

    def announce(self, node: NodeView, attested: Condition) -> None:
        """Take an Event to post; returns at once."""
        try:
            self._waiting.put_nowait(_event(node, attested, self._instance, self._clock()))
        except asyncio.QueueFull:
            _LOG.info("event dropped", node=node.name, reason=attested.reason)

    async def run(self) -> None:
        """Post what waits, for ever."""
        while True:
            event = await self._waiting.get()
            try:
                await self._gateway.call("POST", EVENTS, event)
            except NodeproofError as error:
                _LOG.info("event not posted", reason=error.reason, error=str(error))


def _event(node: NodeView, attested: Condition, instance: str, now: datetime) -> Json:
    calm = attested.status is Status.TRUE or attested.reason == Reason.NOT_SELECTED
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        # The name says which change it is: the same one posted twice is refused as existing.
        "metadata": {"name": _name(node, attested), "namespace": "default"},
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "action": "Attest",
        "reason": attested.reason,
        "type": "Normal" if calm else "Warning",
        "regarding": {"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node.uid},
        "note": _cut(f"Attested={attested.status}: {attested.message}"),
    }


def _name(node: NodeView, attested: Condition) -> str:
    facts = (node.uid, attested.status, attested.reason, attested.last_transition_time.isoformat())
    return f"nodeproof.{hashlib.sha256('/'.join(facts).encode()).hexdigest()[:32]}"


def _cut(note: str) -> str:
    return note.encode()[:MAX_NOTE_LENGTH].decode(errors="ignore")
