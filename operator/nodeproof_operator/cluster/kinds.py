"""The four kinds of objects that the operator watches."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from nodeproof.policy import GROUP, VERSION
from nodeproof_operator.cluster.objects import (
    NODE_ATTESTATIONS,
    NODES,
    POLICIES,
    REFERENCE_VALUE_SETS,
)


class Kind(StrEnum):
    """A watched kind; the value is its plural in the API."""

    NODE = "nodes"
    NODE_ATTESTATION = "nodeattestations"
    POLICY = "attestationpolicies"
    REFERENCE_VALUE_SET = "referencevaluesets"

    @property
    def group(self) -> str:
        """The API group, empty for Kubernetes' own core group."""
        return "" if self is Kind.NODE else GROUP

    @property
    def version(self) -> str:
        """The API version in its group."""
        return "v1" if self is Kind.NODE else VERSION

    @property
    def path(self) -> str:
        """Where all objects of this kind are listed."""
        return _PATHS[self]


CUSTOM_KINDS = (Kind.NODE_ATTESTATION, Kind.POLICY, Kind.REFERENCE_VALUE_SET)
"""The kinds that exist only once ``crds/`` is applied."""

_PATHS = {
    Kind.NODE: NODES,
    Kind.NODE_ATTESTATION: NODE_ATTESTATIONS,
    Kind.POLICY: POLICIES,
    Kind.REFERENCE_VALUE_SET: REFERENCE_VALUE_SETS,
}


class Key(NamedTuple):
    """One object that something happened to."""

    kind: Kind
    name: str
