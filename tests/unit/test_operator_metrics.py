from __future__ import annotations

from datetime import UTC, datetime

from nodeproof_operator.metrics import Metrics

SOON = datetime(2030, 1, 1, tzinfo=UTC)
PASSED = ("confidential", "Passed", "VCEK")
NODES = {"policy": "confidential", "state": "Passed", "signer": "VCEK"}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_says_whether_simulated_platforms_may_count() -> None:
    metrics = Metrics()
    metrics.describe_build(simulated_allowed=True)
    text = metrics.exposition()[0].decode()
    assert 'simulated_allowed="true"' in text


def test_the_fleet_is_what_was_said_last() -> None:
    metrics = Metrics()
    metrics.set_fleet({PASSED: 2}, {"node-a": SOON, "node-b": SOON})
    metrics.set_fleet({PASSED: 1}, {"node-a": SOON, "node-b": None})
    name = "nodeproof_result_expiration_timestamp_seconds"
    assert value(metrics, "nodeproof_nodes", **NODES) == 1
    assert value(metrics, name, node="node-a") == SOON.timestamp()
    assert value(metrics, name, node="node-b") is None


def test_who_does_not_lead_says_nothing_of_the_fleet() -> None:
    metrics = Metrics()
    metrics.show_leadership(True)  # noqa: FBT003 - its only argument
    metrics.set_fleet({PASSED: 1}, {"node-a": SOON})
    metrics.show_leadership(False)  # noqa: FBT003 - its only argument
    assert value(metrics, "nodeproof_nodes", **NODES) is None
    assert value(metrics, "nodeproof_leader") == 0


def test_counts_attempts_by_result_reason_and_signer() -> None:
    metrics = Metrics()
    metrics.attempt("accepted", "Accepted", "VCEK")
    metrics.attempt("accepted", "Accepted", "VCEK")
    labels = {"result": "accepted", "reason": "Accepted", "signer": "VCEK"}
    assert value(metrics, "nodeproof_attestation_attempts_total", **labels) == 2


def test_counts_requests_to_the_key_service_by_result() -> None:
    metrics = Metrics()
    metrics.endorsements.count_request("Accepted")
    metrics.endorsements.count_request("Throttled")
    assert value(metrics, "nodeproof_kds_requests_total", result="Throttled") == 1


def test_reads_the_state_of_endorsements_when_somebody_looks() -> None:
    metrics, depth = Metrics(), [1]
    metrics.endorsements.watch(queue_depth=lambda: depth[0], ignored=lambda: 3)
    depth[0] = 2
    assert value(metrics, "nodeproof_kds_queue_depth") == 2
    assert value(metrics, "nodeproof_endorsements_ignored") == 3
