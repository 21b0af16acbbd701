"""What a stand-in kubelet writes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from nodeproof_dev import pods, registration
from nodeproof_dev.pods import NO_PLATFORM, RUNNING
from nodeproof_dev.registration import NodeFacts

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
FACTS = NodeFacts("n1", "machine", "boot", {"example.com/pool": "a"})


def pod(owner: str = "nodeproof-agent", namespace: str = "nodeproof-agents") -> dict[str, Any]:
    reference = {"kind": "DaemonSet", "name": owner, "controller": True}
    return {
        "metadata": {"namespace": namespace, "name": "p", "ownerReferences": [reference]},
        "spec": {"containers": [{"name": "main", "image": "image:1"}]},
    }


def test_a_node_states_boot_id_and_labels() -> None:
    document = registration.node_document(FACTS, NOW)
    assert document["status"]["nodeInfo"]["bootID"] == "boot"
    assert document["metadata"]["labels"]["example.com/pool"] == "a"
    assert document["metadata"]["labels"]["kubernetes.io/hostname"] == "n1"


def test_a_lease_belongs_to_its_node() -> None:
    lease = registration.lease_document("n1", "uid", NOW)
    assert lease["metadata"]["ownerReferences"][0]["uid"] == "uid"
    assert lease["spec"]["renewTime"] == "2026-01-02T03:04:05.000678Z"


def test_times_are_written_as_kubernetes_reads_them() -> None:
    assert registration.timestamp(NOW) == "2026-01-02T03:04:05Z"


def test_the_daemon_sets_pod_is_the_agents() -> None:
    assert pods.is_agent(pod())


@pytest.mark.parametrize(
    "other", [pod(owner="another"), pod(namespace="default"), {"metadata": {"namespace": "x"}}]
)
def test_other_pods_are_not_the_agents(other: dict[str, Any]) -> None:
    assert not pods.is_agent(other)


def test_a_pod_that_runs_is_ready() -> None:
    status = pods.status_document(pod(), RUNNING, NOW)
    assert pods.says({**pod(), "status": status}, RUNNING)
    assert status["containerStatuses"][0]["state"] == {
        "running": {"startedAt": "2026-01-02T03:04:05Z"}
    }


def test_an_agents_pod_without_a_platform_is_not_ready() -> None:
    status = pods.status_document(pod(), NO_PLATFORM, NOW)
    assert not pods.says({**pod(), "status": status}, RUNNING)
    assert "no evidence at all" in status["containerStatuses"][0]["state"]["waiting"]["message"]


def test_a_pod_keeps_its_start_time() -> None:
    started = {**pod(), "status": {"startTime": "2025-01-01T00:00:00Z"}}
    status = pods.status_document(started, RUNNING, NOW)
    assert status["startTime"] == "2025-01-01T00:00:00Z"
