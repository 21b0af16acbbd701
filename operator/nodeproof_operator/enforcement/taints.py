"""Our taint among the others. Pure; others' taints stay as they are, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from nodeproof.policy import TaintEffect
from nodeproof_operator.cluster.objects import TAINT_KEY

Taint = Mapping[str, Any]

_STRENGTH: Mapping[str | None, int] = {
    None: 0,
    TaintEffect.NO_SCHEDULE: 1,
    TaintEffect.NO_EXECUTE: 2,
}


def strength(effect: str | None) -> int:
    """Return a number by which effects compare; no taint is the weakest."""
    return _STRENGTH[effect]


def strongest(effects: Iterable[str | None]) -> str | None:
    """Return the strongest of some effects, None if there is none."""
    return max(effects, key=strength, default=None)


def has_ours(taints: Iterable[Taint]) -> bool:
    """Tell whether our key is among the taints, with whatever effect."""
    return any(each.get("key") == TAINT_KEY for each in taints)


def with_effect(taints: Sequence[Taint], effect: str | None, now: datetime) -> list[Taint]:
    """Return the taints with ours at this effect, or without ours.

    Whoever sets a NoExecute taint has to say since when: the API server does not.
    """
    others = [each for each in taints if each.get("key") != TAINT_KEY]
    if effect is None:
        return others
    ours = {"key": TAINT_KEY, "effect": str(effect)}
    if effect == TaintEffect.NO_EXECUTE:
        ours["timeAdded"] = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return [*others, ours]
