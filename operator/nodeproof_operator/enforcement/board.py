"""The newest assessment of every Node: what policy status and fleet metrics are counted from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from nodeproof.result import Reason
from nodeproof_operator.enforcement.result import Assessment


@dataclass(frozen=True, slots=True)
class PolicyCounts:
    """How many Nodes a policy selects, and how many of them pass it."""

    matching: int = 0
    attested: int = 0


class Board:
    """Assessments by Node name; ``changed`` until somebody has looked."""

    def __init__(self) -> None:
        self._assessments: dict[str, Assessment] = {}
        self.changed = True

    def __iter__(self) -> Iterator[Assessment]:
        return iter(self._assessments.values())

    def put(self, assessment: Assessment) -> None:
        """Take a Node's newest assessment."""
        self._assessments[assessment.node_name] = assessment
        self.changed = True

    def drop(self, node_name: str) -> None:
        """Forget a Node that is gone or that no policy selects."""
        if self._assessments.pop(node_name, None) is not None:
            self.changed = True


def counts(assessments: Iterable[Assessment]) -> Mapping[str, PolicyCounts]:
    """Return the counts of every policy that selects a Node."""
    matching: Counter[str] = Counter()
    attested: Counter[str] = Counter()
    for each in assessments:
        for verdict in each.verdicts:
            if verdict.reason is not Reason.SELECTOR_LEFT:
                matching[verdict.policy_name] += 1
                attested[verdict.policy_name] += verdict.passed
    return {name: PolicyCounts(matching[name], attested[name]) for name in matching}


def fleet_states(assessments: Iterable[Assessment]) -> Mapping[tuple[str, str, str], int]:
    """Return how many Nodes there are by policy, state and signer."""
    return Counter(
        (verdict.policy_name, str(verdict.outcome), verdict.signer)
        for each in assessments
        for verdict in each.verdicts
    )


def expirations(assessments: Iterable[Assessment]) -> Mapping[str, datetime | None]:
    """Return when each Node's result ends, None where nothing passes."""
    return {each.node_name: each.expiration_time for each in assessments}
