"""Whoever may write the status of a NodeAttestation, admins included, can attest no node by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cases.policy_case import OTHER_MEASUREMENT, PolicyCase, gate_labels
from nodeproof_dev.attester import HandDrivenAttester
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.objects import attestation, node, taint_effect

NewAttester = Callable[..., HandDrivenAttester]
LONG_AGO, FAR_AHEAD = "2026-01-01T00:00:00Z", "2199-01-01T00:00:00Z"


def test_evidence_of_another_node_counts_against_the_node_it_is_given_to(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    policy = case.policy()
    one, other = attester("x"), attester("y")
    other.attest()
    case.wait_label(other.name, policy)
    case.wait_attested(one.name, "Unknown", "NoEvidence")
    stolen = case.status(other.name)["evidence"]
    plane.admin.merge_patch(f"{attestation(one.name)}/status", {"status": {"evidence": stolen}})
    message = case.wait_attested(one.name, "False", "IdentityMismatch")["message"]
    assert "the stored evidence is not this Node's" in message
    assert gate_labels(case.wait_taint(one.name, "NoExecute")) == set()
    case.wait_label(other.name, policy)


def test_a_forged_result_without_evidence_is_written_anew(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    policy = case.policy()
    one, other = attester("x"), attester("y")
    case.wait_attested(one.name, "Unknown", "NoEvidence")
    case.wait_taint(one.name, "NoSchedule")
    forge(plane, one.name, policy)
    case.wait_attested(one.name, "Unknown", "NoEvidence")
    status = case.status(one.name)
    assert "signer" not in status
    assert "expirationTime" not in status
    assert [each["outcome"] for each in status["policies"]] == ["Unknown"]
    other.attest()
    case.wait_counts(policy, matching=2, attested=1)
    seen = plane.admin.get(node(one.name))
    assert (gate_labels(seen), taint_effect(seen)) == (set(), "NoSchedule")


def test_a_forged_result_over_bad_evidence_is_written_anew(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    policy = case.policy()
    one = attester(measurement=OTHER_MEASUREMENT)
    one.attest()
    case.wait_taint(one.name, "NoExecute")
    forge(plane, one.name, policy)
    case.wait_attested(one.name, "False", "CheckFailed")
    (result,) = case.status(one.name)["policies"]
    assert (result["outcome"], result["signer"]) == ("Failed", "Simulated")
    seen = plane.admin.get(node(one.name))
    assert (gate_labels(seen), taint_effect(seen)) == (set(), "NoExecute")


def test_a_forged_expiration_time_gives_no_result_a_longer_life(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    case.policy()
    one = attester()
    one.attest()
    case.wait_attested(one.name, "True", "Attested")
    true_time = case.status(one.name)["expirationTime"]
    forged = {"status": {"expirationTime": FAR_AHEAD}}
    plane.admin.merge_patch(f"{attestation(one.name)}/status", forged)
    plane.admin.wait_for(
        attestation(one.name), lambda seen: seen["status"]["expirationTime"] == true_time
    )


@pytest.mark.parametrize("field", ["report", "challenge"])
def test_stored_evidence_that_was_altered_counts_as_not_genuine(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane, field: str
) -> None:
    policy = case.policy()
    one = attester()
    one.attest()
    case.wait_label(one.name, policy)
    altered = flipped(case.status(one.name)["evidence"][field])
    patch = {"status": {"evidence": {field: altered}}}
    plane.admin.merge_patch(f"{attestation(one.name)}/status", patch)
    case.wait_attested(one.name, "False", "NotGenuine")
    assert gate_labels(case.wait_taint(one.name, "NoExecute")) == set()


def test_stored_evidence_of_another_boot_counts_as_not_genuine(
    attester: NewAttester, case: PolicyCase, plane: ControlPlane
) -> None:
    """A rebooted node cannot be saved by whoever states its new boot in the old evidence."""
    case.policy()
    one = attester()
    one.attest()
    one.node.reboot()
    case.wait_attested(one.name, "Unknown", "NodeRebooted")
    patch = {"status": {"evidence": {"bootID": one.node.boot_id}}}
    plane.admin.merge_patch(f"{attestation(one.name)}/status", patch)
    case.wait_attested(one.name, "False", "NotGenuine")
    assert gate_labels(case.wait_taint(one.name, "NoExecute")) == set()


def forge(plane: ControlPlane, node_name: str, policy: str) -> None:
    """State, as an admin, all that a status can say in favour of a node."""
    generation = plane.admin.get(f"/apis/nodeproof.dev/v1alpha1/attestationpolicies/{policy}")[
        "metadata"
    ]["generation"]
    result = {
        "name": policy,
        "observedGeneration": generation,
        "outcome": "Passed",
        "reason": "Attested",
        "signer": "VCEK",
        "passedChecks": 7,
    }
    status = {
        "conditions": [attested("Attested"), attested("EvidenceVerified")],
        "policies": [result],
        "signer": "VCEK",
        "expirationTime": FAR_AHEAD,
    }
    written = plane.admin.merge_patch(f"{attestation(node_name)}/status", {"status": status})
    assert written["status"]["signer"] == "VCEK"


def attested(kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "reason": "Attested",
        "message": "says so",
        "lastTransitionTime": LONG_AGO,
    }


def flipped(encoded: str) -> str:
    """Return base64 text with one bit of its first byte changed."""
    return ("B" if encoded[0] == "A" else "A") + encoded[1:]
