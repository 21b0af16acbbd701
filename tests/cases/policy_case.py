"""One test's policies and reference values, and what becomes of the nodes that they select."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodeproof.sevsnp.simulator.processor import MEASUREMENT
from nodeproof_dev.api import Api, Object
from nodeproof_dev.objects import attestation, node, taint_effect

GATE = "nodeproof.node-restriction.kubernetes.io/"
OTHER_MEASUREMENT = bytes(reversed(MEASUREMENT))
"""The launch measurement of an image that no reference value names."""

SECONDS = 20.0
"""How long anything may take; on a quiet machine it is a fraction of a second."""

_VERSION = "nodeproof.dev/v1alpha1"
_POLICIES = f"/apis/{_VERSION}/attestationpolicies"
_SETS = f"/apis/{_VERSION}/referencevaluesets"


class PolicyCase:
    """Applies policies that select the nodes of one test alone, and waits for what follows.

    Attributes:
        name: The name of the test's first policy and of its reference values.
        selector: The labels that its policies select by.
    """

    def __init__(self, api: Api, name: str, selector: Mapping[str, str]) -> None:
        self.name = name
        self._api = api
        self.selector = dict(selector)
        self._policies: set[str] = set()

    def policy(self, suffix: str = "", **spec: Any) -> str:
        """Apply a policy that accepts the simulated platform, changed by ``spec``; return its name.

        Applied again it is changed: fields that are not given any more have their defaults.
        """
        name = self.name + suffix
        usual = {
            "nodeSelector": {"matchLabels": self.selector},
            "referenceValueSetNames": [self.name],
            "signer": {"kinds": ["Simulated"]},
        }
        self._apply("AttestationPolicy", name, usual | spec)
        self._policies.add(name)
        return name

    def reference_values(self, *measurements: bytes) -> None:
        """Apply the set of good launch measurements."""
        values = [
            {"name": f"image-{number}", "measurement": each.hex(), "covers": "Kernel"}
            for number, each in enumerate(measurements)
        ]
        self._apply("ReferenceValueSet", self.name, {"measurements": values})

    def delete_policy(self, name: str) -> None:
        """Delete a policy."""
        self._api.delete(f"{_POLICIES}/{name}")

    def delete_reference_values(self) -> None:
        """Delete the set of good launch measurements."""
        self._api.delete(f"{_SETS}/{self.name}")

    def remove(self) -> None:
        """Delete everything that was applied."""
        for name in self._policies:
            self.delete_policy(name)
        self.delete_reference_values()

    def wait_label(self, node_name: str, policy: str) -> Object:
        """Wait until a Node carries a policy's label; return the Node."""
        return self._wait_labels(node_name, policy, present=True)

    def wait_no_label(self, node_name: str, policy: str, seconds: float = SECONDS) -> Object:
        """Wait until a Node does not carry a policy's label; return the Node."""
        return self._wait_labels(node_name, policy, present=False, seconds=seconds)

    def wait_taint(self, node_name: str, effect: str) -> Object:
        """Wait until our taint on a Node has this effect, '' for no taint; return the Node."""
        return self._api.wait_for(
            node(node_name),
            lambda seen: bool(seen) and taint_effect(seen) == effect,
            seconds=SECONDS,
        )

    def wait_attested(self, node_name: str, status: str, reason: str) -> Object:
        """Wait until a node's condition Attested says this; return the condition."""
        result = self._api.wait_for(
            attestation(node_name),
            lambda seen: (
                (attested(seen).get("status"), attested(seen).get("reason")) == (status, reason)
            ),
            seconds=SECONDS,
        )
        return attested(result)

    def wait_counts(self, policy: str, *, matching: int, attested: int) -> None:
        """Wait until a policy's status counts so: each Node has then been dealt with entirely."""
        wanted = (matching, attested)
        self._api.wait_for(
            f"{_POLICIES}/{policy}", lambda seen: _counts(seen) == wanted, seconds=SECONDS
        )

    def status(self, node_name: str) -> Object:
        """Return the status of a node's NodeAttestation."""
        status: Object = self._api.get(attestation(node_name))["status"]
        return status

    def _wait_labels(
        self, node_name: str, policy: str, *, present: bool, seconds: float = SECONDS
    ) -> Object:
        label = GATE + policy
        return self._api.wait_for(
            node(node_name),
            lambda seen: bool(seen) and (label in gate_labels(seen)) == present,
            seconds=seconds,
        )

    def _apply(self, kind: str, name: str, spec: Object) -> None:
        head = {"apiVersion": _VERSION, "kind": kind, "metadata": {"name": name}}
        self._api.apply(head | {"spec": spec})


def gate_labels(node_object: Object) -> set[str]:
    """Return the keys of our labels on a Node."""
    return {key for key in node_object["metadata"].get("labels", {}) if key.startswith(GATE)}


def attested(result: Object) -> Object:
    """Return the condition Attested of a NodeAttestation, or nothing."""
    conditions: list[Object] = result.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "Attested"), {})


def _counts(policy: Object) -> tuple[Any, Any]:
    status = policy.get("status", {})
    return status.get("matchingNodes"), status.get("attestedNodes")
