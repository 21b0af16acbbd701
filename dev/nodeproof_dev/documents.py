"""What an admin and a pod author apply in the demo and in the development cluster."""

from __future__ import annotations

from nodeproof.sevsnp.simulator.processor import MEASUREMENT
from nodeproof_dev.api import Object
from nodeproof_dev.objects import FLEET, FLEET_LABEL, POLICY

_API_VERSION = "nodeproof.dev/v1alpha1"
_VALUES = "guest-images"


def reference_values() -> Object:
    """Return the ReferenceValueSet with the measurement that simulated machines have by default."""
    good = {"name": "good-image", "measurement": MEASUREMENT.hex(), "covers": "Firmware"}
    return {
        "apiVersion": _API_VERSION,
        "kind": "ReferenceValueSet",
        "metadata": {"name": _VALUES},
        "spec": {"measurements": [good]},
    }


def policy() -> Object:
    """Return the AttestationPolicy for our nodes; it allows the simulated platform."""
    return {
        "apiVersion": _API_VERSION,
        "kind": "AttestationPolicy",
        "metadata": {"name": POLICY},
        "spec": {
            "nodeSelector": {"matchLabels": {FLEET_LABEL: FLEET}},
            "referenceValueSetNames": [_VALUES],
            "signer": {"kinds": ["VCEK", "Simulated"]},
        },
    }


def pod(name: str) -> Object:
    """Return a pod that asks for an attested node, in the one line that its author writes."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "runtimeClassName": "attested",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": "example/workload:1"}],
        },
    }
