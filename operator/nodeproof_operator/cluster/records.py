"""NodeAttestation objects: one for each Node registration, found by the Node's name.

Every write of a status is conditional on the resourceVersion that was read: a uid alone is not
checked by the API server on the status of custom resources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from nodeproof.errors import Overloaded
from nodeproof.policy import GROUP, VERSION
from nodeproof.result import (
    AttestationPolicyStatus,
    Condition,
    Deferral,
    LastRefusal,
    PolicyResult,
    StoredEvidence,
    Unavailable,
)
from nodeproof_operator.cluster.errors import Conflict, NotFound
from nodeproof_operator.cluster.gateway import MERGE_PATCH, Gateway, Json
from nodeproof_operator.cluster.objects import NODE_ATTESTATIONS, node, node_attestation, policy
from nodeproof_operator.cluster.preconditions import Precondition
from nodeproof_operator.cluster.views import Record, view_record

CREATE_TRIES = 3
"""Others may create or delete the same record at the same time, but not for long."""


@dataclass(frozen=True, slots=True)
class Records:
    """Reads and writes NodeAttestations; all methods may raise an ``ApiError``."""

    gateway: Gateway

    async def read(self, node_name: str) -> Record:
        """Return the record of this name as it is now.

        Raises:
            NotFound: There is none.
        """
        return view_record(await self.gateway.call("GET", node_attestation(node_name)))

    async def ensure(self, node_name: str, node_uid: str) -> Record:
        """Return the record of this Node, made if need be.

        A record of an earlier Node of the same name is deleted first: nothing is inherited.

        Raises:
            Overloaded: The earlier record is still ending, others write all the time, or it is
                the caller's Node that is the earlier one.
        """
        for _ in range(CREATE_TRIES):
            try:
                found = await self.gateway.call("GET", node_attestation(node_name))
            except NotFound:
                created = await self._create(node_name, node_uid)
                if created is not None:
                    return created
                continue
            record = view_record(found)
            if "deletionTimestamp" in found["metadata"]:
                break
            if record.node_uid == node_uid:
                return record
            if await self._has_node(node_name, record.node_uid):
                break
            await self._delete(record)
        raise Overloaded("the node's NodeAttestation is being replaced", retry_after_seconds=1)

    async def write_evidence(self, record: Record, evidence: StoredEvidence) -> Record:
        """Store evidence and forget whatever kept it away: refusals, deferral, unavailability.

        Raises:
            Conflict: The record is no longer as given.
        """
        ended = {"lastRefusal": None, "deferral": None, "unavailable": None}
        return await self._write(record, {"evidence": _whole(evidence), **ended})

    async def write_refusal(self, record: Record, refusal: LastRefusal) -> Record:
        """Store the newest refusal; nothing is deferred any more, and there was something.

        Raises:
            Conflict: The record is no longer as given.
        """
        ended = {"deferral": None, "unavailable": None}
        return await self._write(record, {"lastRefusal": _whole(refusal), **ended})

    async def write_deferral(self, record: Record, deferral: Deferral) -> Record:
        """Store why the newest submission cannot be judged yet; evidence and refusal stay.

        Raises:
            Conflict: The record is no longer as given.
        """
        return await self._write(record, {"deferral": _whole(deferral), "unavailable": None})

    async def write_unavailable(self, record: Record, unavailable: Unavailable) -> Record:
        """Store why the agent has no evidence; all else stays.

        Raises:
            Conflict: The record is no longer as given.
        """
        return await self._write(record, {"unavailable": _whole(unavailable)})

    async def write_result(
        self,
        record: Record,
        *,
        conditions: Sequence[Condition],
        policies: Sequence[PolicyResult],
        expiration_time: datetime | None,
        signer: str,
    ) -> Record:
        """Store the attestation result; evidence and refusal stay.

        Raises:
            Conflict: The record is no longer as given.
        """
        result = {
            "conditions": conditions,
            "policies": policies,
            "expirationTime": expiration_time,
            "signer": signer or None,
        }
        return await self._write(record, msgspec.to_builtins(result))

    async def write_policy_status(self, name: str, status: AttestationPolicyStatus) -> None:
        """Store a policy's counts and conditions: for people, so the last writer may win."""
        await self.gateway.call(
            "PATCH",
            f"{policy(name)}/status",
            {"status": msgspec.to_builtins(status)},
            content_type=MERGE_PATCH,
        )

    async def _write(self, record: Record, status: Json) -> Record:
        condition = Precondition(record.uid, record.resource_version)
        body = {"metadata": condition.metadata(), "status": status}
        path = f"{node_attestation(record.name)}/status"
        return view_record(await self.gateway.call("PATCH", path, body, content_type=MERGE_PATCH))

    async def _create(self, node_name: str, node_uid: str) -> Record | None:
        body = _new_record(node_name, node_uid)
        try:
            return view_record(await self.gateway.call("POST", NODE_ATTESTATIONS, body))
        except Conflict:
            return None

    async def _has_node(self, name: str, uid: str) -> bool:
        """Tell whether this Node exists: a view that lags behind must not cost it its evidence."""
        try:
            found = await self.gateway.call("GET", node(name))
        except NotFound:
            return False
        return bool(found["metadata"]["uid"] == uid)

    async def _delete(self, record: Record) -> None:
        condition = {"uid": Precondition(record.uid, None).uid}
        try:
            await self.gateway.call(
                "DELETE", node_attestation(record.name), {"preconditions": condition}
            )
        except (NotFound, Conflict):
            return  # another replica was first


def _new_record(node_name: str, node_uid: str) -> Json:
    owner = {"apiVersion": "v1", "kind": "Node", "name": node_name, "uid": node_uid}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "NodeAttestation",
        "metadata": {"name": node_name, "ownerReferences": [owner]},
        "spec": {"nodeName": node_name, "nodeUID": node_uid},
    }


def _whole(value: msgspec.Struct) -> dict[str, Any]:
    """Return all members, null for those left out: a merge patch must not keep older ones."""
    blank = dict.fromkeys(value.__struct_encode_fields__)
    return {**blank, **msgspec.to_builtins(value)}
