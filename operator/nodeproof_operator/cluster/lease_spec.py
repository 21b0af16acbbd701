"""What a Lease says and how it is written: pure, no clock, no network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nodeproof_operator.cluster.gateway import Json

LEASE_DURATION_SECONDS = 15.0
"""How long a Lease must stay unchanged before another replica takes it; as in Kubernetes itself."""

LONGEST_RESPECTED_SECONDS = 60.0
"""The longest duration in somebody else's Lease that is waited for."""


def holder(spec: Mapping[str, Any]) -> str:
    """Return who holds the Lease, empty if it is free."""
    return str(spec.get("holderIdentity") or "")


def respected_seconds(spec: Mapping[str, Any]) -> float:
    """Return how long the Lease must stay unchanged before it may be taken."""
    stated = spec.get("leaseDurationSeconds")
    if not isinstance(stated, int):
        return LEASE_DURATION_SECONDS
    return max(LEASE_DURATION_SECONDS, min(float(stated), LONGEST_RESPECTED_SECONDS))


def held(
    spec: Mapping[str, Any],
    identity: str,
    when: datetime,
    seconds: float = LEASE_DURATION_SECONDS,
) -> Json:
    """Return the spec of a Lease that ``identity`` takes, or renews if it holds it already.

    Args:
        spec: What the Lease says.
        identity: Whose it is to be.
        when: The time, for people.
        seconds: How long it must then stay unchanged before others may take it.
    """
    renewed = {
        **spec,
        "holderIdentity": identity,
        "leaseDurationSeconds": int(seconds),
        "renewTime": timestamp(when),
    }
    if holder(spec) != identity:
        renewed["acquireTime"] = renewed["renewTime"]
        renewed["leaseTransitions"] = _transitions(spec)
    return renewed


def freed(spec: Mapping[str, Any], when: datetime) -> Json:
    """Return the spec of a Lease that its holder gives back."""
    kept = {key: value for key, value in spec.items() if key != "holderIdentity"}
    return {**kept, "renewTime": timestamp(when)}


def timestamp(when: datetime) -> str:
    """Return a ``metav1.MicroTime``: RFC 3339 in UTC with microseconds."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _transitions(spec: Mapping[str, Any]) -> int:
    if not spec:
        return 0
    counted = spec.get("leaseTransitions")
    return (counted if isinstance(counted, int) else 0) + 1
