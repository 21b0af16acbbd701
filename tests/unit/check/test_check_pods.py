from __future__ import annotations

from typing import Any

import pytest

from nodeproof_operator.check.pods import is_ready, waiting
from unit.check.sound import pod
from unit.check.sound import waiting as container_waiting

UNSCHEDULABLE = {
    "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}
    ]
}
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "low on memory", "conditions": []}
PROBE_FAILS = {"containerStatuses": [{"name": "agent", "state": {"running": {}}}]}
INIT: dict[str, Any] = {
    "initContainerStatuses": container_waiting("CreateContainerConfigError", "no such ConfigMap")[
        "containerStatuses"
    ]
}


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (container_waiting("ImagePullBackOff", "no"), "ImagePullBackOff", "no"),
        (INIT, "CreateContainerConfigError", "no such ConfigMap"),
        (UNSCHEDULABLE, "Unschedulable", "0/3"),
        (EVICTED, "Evicted", "low on memory"),
        (PROBE_FAILS, "NotReady", "it runs, and its readiness probe fails"),
        ({"phase": "Pending"}, "Pending", "the kubelet says nothing of it yet"),
    ],
)
def test_says_what_a_pod_waits_for(status: Any, reason: str, message: str) -> None:
    found = waiting(pod("a", ready=False, **status))
    assert (found.reason, found.message) == (reason, message)


def test_a_pod_that_ends_is_not_waiting() -> None:
    ending = pod("a", ready=False)
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert waiting(ending).reason == "Terminating"


def test_a_pod_without_a_status_is_not_ready() -> None:
    assert not is_ready({"metadata": {"name": "a"}})
