"""AttestationPolicy and ReferenceValueSet as wholes, and how they are decoded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from nodeproof.errors import PolicyInvalid
from nodeproof.policy.firmware import FirmwareRules
from nodeproof.policy.rules import (
    ChipRules,
    EnforcementRules,
    FreshnessRules,
    GuestRules,
    RevocationRules,
    SignerRules,
)
from nodeproof.policy.selector import LabelSelector
from nodeproof.policy.spec import Spec, Time
from nodeproof.policy.vocabulary import Covers, Mode
from nodeproof.sevsnp.products import Product

_Kind = TypeVar("_Kind", bound=Spec)


class PolicySpec(Spec, frozen=True):
    """``AttestationPolicy.spec``."""

    reference_value_set_names: tuple[str, ...]
    node_selector: LabelSelector = LabelSelector()
    mode: Mode = Mode.ENFORCE
    signer: SignerRules = SignerRules()
    guest: GuestRules = GuestRules()
    firmware: FirmwareRules = FirmwareRules()
    chips: ChipRules = ChipRules()
    revocation: RevocationRules = RevocationRules()
    freshness: FreshnessRules = FreshnessRules()
    enforcement: EnforcementRules = EnforcementRules()


class Measurement(Spec, frozen=True):
    """One launch measurement that is known to be good."""

    name: str
    measurement: str
    """96 lower-case hexadecimal digits, the 48 bytes of MEASUREMENT."""
    covers: Covers
    expiration_time: Time | None = None
    product: Product | None = None
    """The only product on which it counts; None: on all."""

    def in_force(self, now: datetime) -> bool:
        """Tell whether the value still counts."""
        return self.expiration_time is None or now < self.expiration_time


class ReferenceValueSetSpec(Spec, frozen=True):
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
