"""Pass after pass over all Nodes, until none carries anything of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nodeproof.errors import NodeproofError
from nodeproof_operator.cluster.errors import Forbidden
from nodeproof_operator.cluster.gateway import Gateway, list_all
from nodeproof_operator.cluster.lease import Timing
from nodeproof_operator.cluster.objects import GATE_PREFIX, NODES, TAINT_KEY
from nodeproof_operator.cluster.views import NodeView, view_node
from nodeproof_operator.enforcement.desired import Withdraw, withdrawal
from nodeproof_operator.enforcement.writer import Gate, Leadership, Writer

WORKERS = 8
"""Nodes worked on at once: most of the time goes into waiting for the API server."""

PAUSE_SECONDS = 1.0
"""Between two passes."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What has become of all Nodes.

    Attributes:
        nodes: How many there are.
        cleaned: How many carried something of ours.
        failures: Those that still may, each with the last reason.
    """

    nodes: int
    cleaned: int
    failures: dict[str, str]


class Sweeper:
    """Removes our labels and our taint; a node can delay that by no writing of its own.

    Args:
        gateway: The door to the API server.
        leadership: Asked before each write whether nobody else leads.
        timing: Clocks.
        say: Told in a line of each Node that was cleaned.
    """

    def __init__(
        self,
        gateway: Gateway,
        leadership: Leadership,
        timing: Timing,
        say: Callable[[str], None],
    ) -> None:
        gate = Gate(leadership)
        gate.open()  # there is no view of the fleet to be complete: every pass lists anew
        self._gateway = gateway
        self._timing = timing
        self._say = say
        self._writer = Writer(
            gateway,
            gate,
            clock=lambda: datetime.now(UTC),
            count=lambda _action, _result: None,
            observe=lambda _body: None,
        )
        self._cleaned: set[str] = set()
        self._failures: dict[str, str] = {}
        self._hopeless = False

    async def sweep(self, seconds: float) -> Swept:
        """Work until a pass finds nothing, every failure is a refusal, or ``seconds`` are over.

        Raises:
            ApiError: The Nodes cannot be listed.
        """
        end = self._timing.clock() + seconds
        while True:
            nodes = await self._nodes()
            due = [(node, mine) for node in nodes if (mine := withdrawal(node))]
            self._failures = {node.name: "not yet tried" for node, _ in due}
            if due:
                await self._pass(due)
            over = self._timing.clock() >= end or self._hopeless
            if not due or over:
                return Swept(len(nodes), len(self._cleaned), self._failures)
            await self._timing.sleep(PAUSE_SECONDS)

    async def _nodes(self) -> list[NodeView]:
        listing = await list_all(self._gateway, NODES)
        return [view_node(each) for each in listing.items]

    async def _pass(self, due: Sequence[tuple[NodeView, Withdraw]]) -> None:
        places = asyncio.Semaphore(WORKERS)
        self._hopeless = True
        async with asyncio.TaskGroup() as tasks:
            for node, mine in due:
                tasks.create_task(self._clean(node, mine, places))

    async def _clean(self, node: NodeView, mine: Withdraw, places: asyncio.Semaphore) -> None:
        async with places:
            try:
                await self._writer.apply(node, mine)
            except NodeproofError as error:
                self._failures[node.name] = f"{error.reason}: {error}"
                self._hopeless = self._hopeless and isinstance(error, Forbidden)
                return
        del self._failures[node.name]
        self._hopeless = False
        self._cleaned.add(node.name)
        self._say(f"node {node.name}: removed {describe(node)}")


def describe(node: NodeView) -> str:
    """Return what of ours is on a Node, in words."""
    parts = [f"label {each}" for each in sorted(node.gate_labels)]
    parts += [f"taint {_taint(each)}" for each in node.taints if each.get("key") == TAINT_KEY]
    return ", ".join(parts) or f"nothing below {GATE_PREFIX}"


def _taint(taint: Any) -> str:
    return f"{TAINT_KEY}:{taint.get('effect', '')}"
