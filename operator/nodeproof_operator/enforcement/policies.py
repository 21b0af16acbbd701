"""AttestationPolicy status: whether a policy can be applied, and how its Nodes do.

For people and dashboards; nothing reads it back. Written in rounds and only where it has changed,
so that a fleet on the move costs one write per policy and round.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol

import structlog

from nodeproof.errors import NodeproofError, PolicyInvalid
from nodeproof.policy import Policy, ReferenceValueSet
from nodeproof.result import (
    CONDITION_READY,
    MAX_FACT_LENGTH,
    AttestationPolicyStatus,
    Condition,
    Reason,
    Status,
)
from nodeproof_operator.enforcement.board import Board, PolicyCounts, counts
from nodeproof_operator.enforcement.verdict import missing_values

ROUND_SECONDS = 2.0
"""Between two rounds of writing."""

READY_REASON = "Applied"

_LOG = structlog.get_logger()


class Fleet(Protocol):
    """What this process knows of policies (``cluster.fleet.Fleet``)."""

    def policies(self) -> Mapping[str, Policy | PolicyInvalid]:
        """Return all policies by name."""
        ...

    def reference_values(self) -> Mapping[str, ReferenceValueSet | PolicyInvalid]:
        """Return all reference value sets by name."""
        ...


class PolicyRecords(Protocol):
    """Where a policy's status is kept (``cluster.records.Records``)."""

    async def write_policy_status(self, name: str, status: AttestationPolicyStatus) -> None:
        """Store the status of a policy."""
        ...


class PolicyReporter:
    """Writes the status of policies and publishes the fleet's state.

    Args:
        fleet: The policies.
        board: The Nodes' assessments.
        records: Where status is written.
        publish: Given the board in every round in which it has changed, for metrics.
        clock: The time, with time zone.
        sleep: Waits some seconds.
        may_write: Raises if this process must not write now.
    """

    def __init__(
        self,
        fleet: Fleet,
        board: Board,
        records: PolicyRecords,
        *,
        publish: Callable[[Board], None],
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        may_write: Callable[[], None],
    ) -> None:
        self._fleet = fleet
        self._board = board
        self._records = records
        self._publish = publish
        self._clock = clock
        self._sleep = sleep
        self._may_write = may_write
        self._written: dict[str, AttestationPolicyStatus] = {}

    async def run(self) -> None:
        """Report in rounds, for ever."""
        while True:
            await self.round()
            await self._sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """Publish the fleet's state and write every status that has changed."""
        if self._board.changed:
            self._board.changed = False
            self._publish(self._board)
        policies = self._fleet.policies()
        for name in self._written.keys() - policies.keys():
            del self._written[name]
        by_policy = counts(self._board)
        for name, policy in policies.items():
            await self._report(name, policy, by_policy.get(name, PolicyCounts()))

    async def _report(self, name: str, policy: Policy | PolicyInvalid, count: PolicyCounts) -> None:
        earlier = self._written.get(name)
        values = self._fleet.reference_values()
        status = policy_status(name, policy, count, values, earlier, self._clock())
        if status == earlier:
            return
        try:
            self._may_write()
            await self._records.write_policy_status(name, status)
        except NodeproofError as error:
            _LOG.info("policy status not written", policy=name, reason=error.reason)
        else:
            self._written[name] = status


def policy_status(
    name: str,
    policy: Policy | PolicyInvalid,
    count: PolicyCounts,
    reference_values: Mapping[str, ReferenceValueSet | PolicyInvalid],
    earlier: AttestationPolicyStatus | None,
    now: datetime,
) -> AttestationPolicyStatus:
    """Return the status of a policy; ``observedGeneration`` is 0 of one that cannot be read."""
    generation = 0 if isinstance(policy, PolicyInvalid) else policy.generation
    ready, reason, message = _readiness(name, policy, reference_values)
    last = earlier.conditions[0] if earlier else None
    return AttestationPolicyStatus(
        observed_generation=generation,
        matching_nodes=count.matching,
        attested_nodes=count.attested,
        conditions=(
            Condition(
                CONDITION_READY,
                ready,
                reason,
                message[:MAX_FACT_LENGTH],
                last.last_transition_time if last and last.status is ready else now,
                generation,
            ),
        ),
    )


def _readiness(
    name: str,
    policy: Policy | PolicyInvalid,
    reference_values: Mapping[str, ReferenceValueSet | PolicyInvalid],
) -> tuple[Status, str, str]:
    if isinstance(policy, PolicyInvalid):
        text = f"policy {name} cannot be read: {policy}"
        return Status.FALSE, Reason.POLICY_INVALID, text
    missing = missing_values(policy, reference_values)
    if missing:
        return Status.FALSE, Reason.REFERENCE_VALUES_MISSING, missing
    return Status.TRUE, READY_REASON, "all reference values are at hand"
