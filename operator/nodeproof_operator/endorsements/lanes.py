"""The line before AMD's key service: whose wish is next. A pure data structure.

There are four lanes. What all nodes need (chains, revocation lists) goes first; there is little of
it. Then come nodes with a live result, the one whose result ends first before the others. Then come
nodes without, in order of arrival; then what nobody waits for yet. Of every four turns of nodes one
is a newcomer's if there is one.

A node has one place in the line, whatever it wishes for, and loses it with its turn: more wishes do
not bring it more turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from nodeproof.sevsnp.kds import CollateralName, VCEKName

MAX_NODES = 8192
"""Nodes in the line; Kubernetes supports 5,000 in one cluster."""

MAX_UNASKED = 1024
"""VCEKs in the line that nobody waits for yet."""

RESULTS_PER_NEWCOMER = 3
"""Turns of nodes with a live result, before one without has a turn."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Who waits.

    Attributes:
        node_uid: The Node.
        deadline: When its live result ends; None: it has none.
    """

    node_uid: str
    deadline: datetime | None


Key: TypeAlias = str | CollateralName
"""Whose place it is: a Node by its UID, or the name itself where no node stands for it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What is asked for next, and on whose turn."""

    name: CollateralName
    key: Key


@dataclass(slots=True)
class _Place:
    turn: Turn
    not_before: float
    deadline: datetime | None = None


class Lanes:
    """Who stands in the line; each name is asked for once, however many wait for it."""

    def __init__(self) -> None:
        # Dictionaries keep the order of arrival; a place that changes stays where it is.
        self._shared: dict[Key, _Place] = {}
        self._nodes: dict[Key, _Place] = {}
        self._unasked: dict[Key, _Place] = {}
        self._results_in_a_row = 0

    def __len__(self) -> int:
        """Return how many names are waited for."""
        lanes = (self._shared, self._nodes, self._unasked)
        return len({place.turn.name for lane in lanes for place in lane.values()})

    def add(self, name: CollateralName, demand: Demand | None, not_before: float = 0.0) -> bool:
        """Stand in the line, or change what one stands there for; return whether there was room.

        Args:
            name: What is wished for.
            demand: Who wishes; None if nobody does yet.
            not_before: When a turn may come at the earliest; a place keeps the latest it was given.
        """
        if not isinstance(name, VCEKName):
            return _stand(self._shared, Turn(name, name), not_before)
        if demand is None:
            return _stand(self._unasked, Turn(name, name), not_before, room=MAX_UNASKED)
        turn = Turn(name, demand.node_uid)
        if not _stand(self._nodes, turn, not_before, room=MAX_NODES):
            return False
        place = self._nodes[demand.node_uid]
        # Who waited for so long that its result ended does not go back to the newcomers' end.
        place.deadline = demand.deadline or place.deadline
        return True

    def next(self, now: float) -> Turn | None:
        """Return whose turn it is; the place is kept until ``finish``. None: it is nobody's."""
        result, newcomer = self._result(now), self._newcomer(now)
        newcomer_is_due = self._results_in_a_row >= RESULTS_PER_NEWCOMER
        nodes = (newcomer, result) if newcomer_is_due else (result, newcomer)
        candidates = (_first(self._shared, now), *nodes, _first(self._unasked, now))
        chosen = next((place for place in candidates if place is not None), None)
        if chosen is None:
            return None
        if chosen is result:
            self._results_in_a_row += 1
        elif chosen is newcomer:
            self._results_in_a_row = 0
        return chosen.turn

    def finish(self, turn: Turn, not_before: float = 0.0) -> None:
        """End a turn: everybody who waits for its name leaves the line.

        If its owner has wished for something else meanwhile, that wish goes to the end of the lane
        and gets no turn before the given time.
        """
        for lane in (self._shared, self._nodes, self._unasked):
            for key in [key for key, place in lane.items() if place.turn.name == turn.name]:
                del lane[key]
        other = self._nodes.pop(turn.key, None)
        if other is not None:
            other.not_before = max(other.not_before, not_before)
            self._nodes[turn.key] = other

    def delay(self, turn: Turn, not_before: float) -> None:
        """Let others go first: the turn was taken and brought nothing. The place is kept."""
        for lane in (self._shared, self._nodes, self._unasked):
            if turn.key in lane:
                place = lane[turn.key]
                place.not_before = max(place.not_before, not_before)

    def ahead(self, name: CollateralName, demand: Demand | None) -> int:
        """Return about how many turns come before the one for this name and demand."""
        if not isinstance(name, VCEKName):
            return _rank(self._shared, name)
        before = len(self._shared)
        if demand is None:
            return before + len(self._nodes) + _rank(self._unasked, name)
        return before + self._nodes_ahead(demand.node_uid)

    def _nodes_ahead(self, node_uid: str) -> int:
        own = self._nodes.get(node_uid)
        deadlines = [place.deadline for place in self._nodes.values() if place.deadline]
        newcomers = len(self._nodes) - len(deadlines)
        if own is None:
            return len(self._nodes)
        if own.deadline is not None:
            earlier = sum(deadline < own.deadline for deadline in deadlines)
            return earlier + min(newcomers, earlier // RESULTS_PER_NEWCOMER)
        newcomer_uids = (uid for uid, place in self._nodes.items() if place.deadline is None)
        earlier = _rank(newcomer_uids, node_uid)
        return earlier + min(len(deadlines), (earlier + 1) * RESULTS_PER_NEWCOMER)

    def _result(self, now: float) -> _Place | None:
        """Return the node whose live result ends first."""
        first: tuple[datetime, _Place] | None = None
        for place in self._nodes.values():
            if place.deadline is None or place.not_before > now:
                continue
            if first is None or place.deadline < first[0]:
                first = place.deadline, place
        return None if first is None else first[1]

    def _newcomer(self, now: float) -> _Place | None:
        places = self._nodes.values()
        return next((each for each in places if not each.deadline and each.not_before <= now), None)


def _stand(
    lane: dict[Key, _Place], turn: Turn, not_before: float, *, room: int | None = None
) -> bool:
    """Take a place or keep it, for what is wished now; return whether there was room."""
    place = lane.get(turn.key)
    if place is not None:
        place.turn = turn
        place.not_before = max(place.not_before, not_before)
        return True
    if room is not None and len(lane) >= room:
        return False
    lane[turn.key] = _Place(turn, not_before)
    return True


def _first(lane: Mapping[Key, _Place], now: float) -> _Place | None:
    return next((place for place in lane.values() if place.not_before <= now), None)


def _rank(lane: Iterable[Key], key: Key) -> int:
    """Return how many stand before this key, or in the whole lane if it is not there."""
    rank = 0
    for each in lane:
        if each == key:
            break
        rank += 1
    return rank
