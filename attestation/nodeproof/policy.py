"""AttestationPolicy and ReferenceValueSet as the CRDs define them, decoded and immutable.

The CRDs in ``crds/`` are the source of truth for defaults and bounds; the defaults here are the
same (a test compares them) so that a policy which reaches us by another way, as in a preview,
means the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec

from nodeproof.errors import PolicyInvalid

_Kind = TypeVar("_Kind", bound="_Spec")

GROUP = "nodeproof.dev"
VERSION = "v1alpha1"

MEASUREMENT_SIZE = 48
"""Bytes of MEASUREMENT, a SHA-384 (AMD 56860, ATTESTATION_REPORT offset 0x090)."""


class Mode(StrEnum):
    """Whether a policy touches Nodes or only reports."""

    ENFORCE = "Enforce"
    AUDIT = "Audit"


class SignerKind(StrEnum):
    """What endorsed the report; ``Simulated`` is any key under a simulated root."""

    VCEK = "VCEK"
    VLEK = "VLEK"
    SIMULATED = "Simulated"


class Requirement(StrEnum):
    """What a policy asks of one bit of the report."""

    REQUIRED = "Required"
    FORBIDDEN = "Forbidden"
    ANY = "Any"


class TaintEffect(StrEnum):
    """What the taint of a failing node does."""

    NO_EXECUTE = "NoExecute"
    NO_SCHEDULE = "NoSchedule"


class SelectorOperator(StrEnum):
    """How a label selector compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Covers(StrEnum):
    """What a launch measurement vouches for. On ESXi and plain-disk guests: firmware only."""

    FIRMWARE = "Firmware"
    KERNEL = "Kernel"
    IMAGE = "Image"


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    """Base of the decoded API types: camelCase outside, immutable inside."""


class SelectorTerm(_Spec, frozen=True):
    """One of a label selector's ``matchExpressions``."""

    key: str
    operator: SelectorOperator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels satisfy this term, as Kubernetes would."""
        present = self.key in labels
        if self.operator is SelectorOperator.EXISTS:
            return present
        if self.operator is SelectorOperator.DOES_NOT_EXIST:
            return not present
        listed = present and labels[self.key] in self.values
        return listed if self.operator is SelectorOperator.IN else not listed


class LabelSelector(_Spec, frozen=True):
    """A Kubernetes label selector; an empty one selects everything."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[SelectorTerm, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            term.matches(labels) for term in self.match_expressions
        )


class SignerRules(_Spec, frozen=True):
    """Who may have endorsed the report."""

    kinds: tuple[SignerKind, ...] = (SignerKind.VCEK,)


class GuestRules(_Spec, frozen=True):
    """What the guest policy and the report must say about the guest."""

    debug: Requirement = Requirement.FORBIDDEN
    migration_agent: Requirement = Requirement.FORBIDDEN
    smt: Requirement = Requirement.ANY
    single_socket: Requirement = Requirement.ANY
    vmpl: int = 0


class FreshnessRules(_Spec, frozen=True):
    """How often nodes attest and how long a result lives, in seconds."""

    interval_seconds: int = 300
    maximum_age_seconds: int = 900


class EnforcementRules(_Spec, frozen=True):
    """What happens to a Node that does not pass."""

    failure_effect: TaintEffect = TaintEffect.NO_EXECUTE
    unknown_grace_seconds: int = 300


class PolicySpec(_Spec, frozen=True):
    """``AttestationPolicy.spec``."""

    reference_value_set_names: tuple[str, ...]
    node_selector: LabelSelector = LabelSelector()
    mode: Mode = Mode.ENFORCE
    signer: SignerRules = SignerRules()
    guest: GuestRules = GuestRules()
    freshness: FreshnessRules = FreshnessRules()
    enforcement: EnforcementRules = EnforcementRules()


class Measurement(_Spec, frozen=True):
    """One launch measurement that is known to be good."""

    name: str
    measurement: str
    """96 lower-case hexadecimal digits, the 48 bytes of MEASUREMENT."""
    covers: Covers
    expiration_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def in_force(self, now: datetime) -> bool:
        """Tell whether the value still counts."""
        return self.expiration_time is None or now < self.expiration_time


class ReferenceValueSetSpec(_Spec, frozen=True):
    """``ReferenceValueSet.spec``."""

    measurements: tuple[Measurement, ...]


class Policy(msgspec.Struct, frozen=True):
    """An AttestationPolicy: the appraisal policy for evidence."""

    name: str
    uid: str
    generation: int
    spec: PolicySpec

    @property
    def enforced(self) -> bool:
        """Whether this policy labels and taints Nodes."""
        return self.spec.mode is Mode.ENFORCE


class ReferenceValueSet(msgspec.Struct, frozen=True):
    """A ReferenceValueSet: what evidence is compared with."""

    name: str
    generation: int
    measurements: tuple[Measurement, ...]


def decode_policy(body: Mapping[str, Any]) -> Policy:
    """Return the policy in an object from the API server.

    Raises:
        PolicyInvalid: The object does not follow the schema of this release.
    """
    metadata = body["metadata"]
    return Policy(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=_decode(body, PolicySpec),
    )


def decode_reference_values(body: Mapping[str, Any]) -> ReferenceValueSet:
    """Return the reference values in an object from the API server.

    Raises:
        PolicyInvalid: The object does not follow the schema of this release.
    """
    metadata = body["metadata"]
    spec = _decode(body, ReferenceValueSetSpec)
    return ReferenceValueSet(
        name=metadata["name"], generation=metadata["generation"], measurements=spec.measurements
    )


def _decode(body: Mapping[str, Any], kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.convert(body.get("spec", {}), type=kind)
    except msgspec.ValidationError as error:
        raise PolicyInvalid(f"spec cannot be read: {error}") from error
