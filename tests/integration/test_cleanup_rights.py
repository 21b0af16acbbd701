"""What the cleanup's account may do to a Node: take away what is ours, and nothing besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from cases.marked_node import (
    CHANGE_LABEL,
    OURS,
    REMOVE_LABEL,
    SET_LABEL,
    attempted,
    kubelet,
    node_document,
    our_taint,
)
from nodeproof_dev.api import Api, Object
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.objects import NODES

pytestmark = pytest.mark.usefixtures("installation")

Attempt = Callable[[Object], tuple[int, str]]


@pytest.fixture(scope="module")
def attempt(plane: ControlPlane) -> Iterator[Attempt]:
    """Try a merge patch on a marked Node as the cleanup; return status and message."""
    name = f"marked-{uuid4().hex[:8]}"
    kubelet(plane, name).create(NODES, node_document(name))
    cleanup = Api(plane.service_account("nodeproof-system", "nodeproof-cleanup"))
    yield lambda patch: attempted(plane.admin, f"{NODES}/{name}", cleanup, patch)
    plane.admin.delete(f"{NODES}/{name}")


@pytest.mark.parametrize("patch", [REMOVE_LABEL, our_taint(None)], ids=str)
def test_the_cleanup_takes_our_labels_and_our_taint_away(attempt: Attempt, patch: Object) -> None:
    assert attempt(patch) == (200, "")


@pytest.mark.parametrize(
    "patch",
    [SET_LABEL, CHANGE_LABEL, our_taint("NoExecute"), our_taint("PreferNoSchedule")],
    ids=str,
)
def test_the_cleanup_sets_neither_our_labels_nor_our_taint(attempt: Attempt, patch: Object) -> None:
    status, message = attempt(patch)
    assert status == 403
    assert "nodeproof" in message


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"labels": {"example.org/zone": "b"}}},
        {"spec": {"taints": [{"key": OURS, "effect": "NoSchedule"}]}},
        {"spec": {"unschedulable": True}},
        {"metadata": {"annotations": {"example.org/note": None}}},
    ],
    ids=str,
)
def test_the_cleanup_can_touch_nothing_else_on_a_node(attempt: Attempt, patch: Object) -> None:
    status, message = attempt(patch)
    assert status == 403
    assert "operator-limits.nodeproof.dev" in message
