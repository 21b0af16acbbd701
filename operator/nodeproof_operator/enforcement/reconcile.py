"""One Node at a time: from what is stored about it to how it should be. Orchestration only.

Lowering comes first and waits for nothing; the result is written before trust is raised, so that
no Node carries a label whose reason cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from nodeproof.errors import PolicyInvalid
from nodeproof.policy import Policy, ReferenceValueSet
from nodeproof.result import CONDITION_ATTESTED, Condition, PolicyResult
from nodeproof_operator.cluster.views import NodeView, Record
from nodeproof_operator.enforcement.board import Board
from nodeproof_operator.enforcement.desired import (
    Change,
    DesiredNode,
    Lower,
    change,
    desired,
    next_time,
)
from nodeproof_operator.enforcement.finding import Case, Proof
from nodeproof_operator.enforcement.memory import Memory, remember
from nodeproof_operator.enforcement.result import Assessment, assess, needs_writing

_LOG = structlog.get_logger()


class Fleet(Protocol):
    """What this process knows of the cluster (``cluster.fleet.Fleet``)."""

    def node(self, name: str) -> NodeView | None:
        """Return a Node."""
        ...

    def record(self, name: str) -> Record | None:
        """Return the NodeAttestation of a Node's name."""
        ...

    def policies(self) -> Mapping[str, Policy | PolicyInvalid]:
        """Return all policies by name."""
        ...

    def reference_values(self) -> Mapping[str, ReferenceValueSet | PolicyInvalid]:
        """Return all reference value sets by name."""
        ...


class Records(Protocol):
    """Where results are kept (``cluster.records.Records``)."""

    async def ensure(self, node_name: str, node_uid: str) -> Record:
        """Return the record of this Node, made if need be."""
        ...

    async def write_result(
        self,
        record: Record,
        *,
        conditions: Sequence[Condition],
        policies: Sequence[PolicyResult],
        expiration_time: datetime | None,
        signer: str,
    ) -> Record:
        """Store a result if the record is still as given."""
        ...


class Verifier(Protocol):
    """Verifies stored evidence (``enforcement.verification.StoredVerifier``)."""

    async def prove(self, node: NodeView, record: Record | None) -> Proof:
        """Return what the evidence in the record proves about the Node, or why it does not."""
        ...


class NodeWriter(Protocol):
    """Writes to Nodes (``enforcement.writer.Writer``)."""

    async def apply(self, node: NodeView, change: Change) -> NodeView | None:
        """Make a change; return the Node as it is then, None if it is gone."""
        ...


class Reconciler:
    """Brings Nodes to what evidence and policies make of them.

    Args:
        fleet: The view of the cluster to decide on.
        verifier: For the stored evidence.
        records: For the results.
        writer: For the Nodes.
        board: Takes every assessment, for policy status and metrics.
        clock: The time, with time zone.
        announce: Told of every Node whose condition ``Attested`` changes.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        verifier: Verifier,
        records: Records,
        writer: NodeWriter,
        board: Board,
        clock: Callable[[], datetime],
        announce: Callable[[NodeView, Condition], None],
    ) -> None:
        self._fleet = fleet
        self._verifier = verifier
        self._records = records
        self._writer = writer
        self._board = board
        self._clock = clock
        self._announce = announce
        self._memory: dict[str, Memory] = {}

    async def reconcile(self, name: str) -> float | None:
        """Work on one Node; return in how many seconds time alone will change something.

        Raises:
            NodeproofError: Something could not be done; call again later.
        """
        node = self._fleet.node(name)
        if node is None:
            self.forget(name)
            return None
        case = await self._case(node)
        assessment = assess(case)
        await self._carry_out(case, assessment)
        self._remember(case, assessment)
        again = next_time(assessment, case.now)
        return (again - case.now).total_seconds() if again else None

    def forget(self, name: str) -> None:
        """Forget what is known of a Node that is gone."""
        self._memory.pop(name, None)
        self._board.drop(name)

    async def _case(self, node: NodeView) -> Case:
        record = self._fleet.record(node.name)
        if record is not None and record.node_uid != node.uid:
            record = None  # of an earlier Node of the same name: nothing is inherited
        memory = self._memory.get(node.name, Memory())
        if memory.node_uid != node.uid:
            memory = Memory()
        record = memory.restored(record)
        proof = await self._verifier.prove(node, record)
        return Case(
            node=node,
            record=record,
            proof=proof,
            policies=self._fleet.policies(),
            reference_values=self._fleet.reference_values(),
            now=self._clock(),
            passes=memory.standing(proof),
            known_record_uid=memory.enforced_record_uid,
            newest_time=memory.newest_time,
        )

    async def _carry_out(self, case: Case, assessment: Assessment) -> None:
        wanted = desired(case.node, assessment, case.now)
        node = await self._lower(case.node, wanted)
        if assessment.released:
            # Once the result is written nothing tells any more that the taint is ours.
            node = await self._bring(node, wanted)
        await self._write_result(case, assessment)
        await self._bring(node, wanted)

    async def _lower(self, node: NodeView, wanted: DesiredNode | None) -> NodeView | None:
        next_change = change(node, wanted) if wanted else None
        if isinstance(next_change, Lower):
            return await self._writer.apply(node, next_change)
        return node

    async def _bring(self, node: NodeView | None, wanted: DesiredNode | None) -> NodeView | None:
        next_change = change(node, wanted) if node and wanted else None
        if node is None or next_change is None:
            return node
        return await self._writer.apply(node, next_change)

    async def _write_result(self, case: Case, assessment: Assessment) -> None:
        record = case.record
        if record is None:
            if case.node.deleting or not assessment.verdicts:
                return
            record = await self._records.ensure(case.node.name, case.node.uid)
            if record.status.evidence is not None:
                return  # newer than this process's view, which is about to follow
        if not needs_writing(record.status, assessment, case.now):
            return
        await self._records.write_result(
            record,
            conditions=assessment.conditions,
            policies=assessment.policies,
            expiration_time=assessment.expiration_time,
            signer=assessment.signer,
        )
        self._tell(case.node, record.status.condition(CONDITION_ATTESTED), assessment.attested)

    def _tell(self, node: NodeView, earlier: Condition | None, attested: Condition) -> None:
        if earlier and (earlier.status, earlier.reason) == (attested.status, attested.reason):
            return
        _LOG.info(
            "attestation changed",
            node=node.name,
            node_uid=node.uid,
            attested=str(attested.status),
            reason=attested.reason,
            message=attested.message,
        )
        self._announce(node, attested)

    def _remember(self, case: Case, assessment: Assessment) -> None:
        self._memory[case.node.name] = remember(case, assessment)
        if assessment.verdicts:
            self._board.put(assessment)
        else:
            self._board.drop(case.node.name)
