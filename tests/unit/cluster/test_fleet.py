from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof.errors import PolicyInvalid
from nodeproof.policy import Policy
from nodeproof_operator.cluster.fleet import DELETED, Fleet
from nodeproof_operator.cluster.gateway import Json, Listing
from nodeproof_operator.cluster.kinds import Key, Kind

NODE_1 = Key(Kind.NODE, "node-1")


def body(version: int = 5, *, name: str = "node-1", uid: str = "u1", **rest: Any) -> Json:
    metadata = {"name": name, "uid": uid, "resourceVersion": str(version), "generation": 1}
    return {"metadata": metadata | rest.pop("metadata", {}), **rest}


def listing(*items: Json, version: int = 100) -> Listing:
    return Listing(items, str(version))


def test_views_a_node() -> None:
    fleet = Fleet()
    taints = [{"key": "a/b", "effect": "NoSchedule", "timeAdded": "x"}]
    node = body(spec={"taints": taints}, status={"nodeInfo": {"bootID": "boot"}})
    assert fleet.observe(Kind.NODE, "ADDED", node) == {NODE_1}
    view = fleet.node("node-1")
    assert view is not None
    assert (view.uid, view.boot_id, list(view.taints)) == ("u1", "boot", taints)


def test_tells_of_no_change_at_a_heartbeat() -> None:
    fleet = Fleet()
    fleet.observe(Kind.NODE, "ADDED", body(5))
    assert fleet.observe(Kind.NODE, "MODIFIED", body(6, status={"conditions": []})) == set()


def test_keeps_the_version_of_a_heartbeat() -> None:
    fleet = Fleet()
    fleet.observe(Kind.NODE, "ADDED", body(5))
    fleet.observe(Kind.NODE, "MODIFIED", body(6))
    assert fleet.nodes()["node-1"].resource_version == "6"


def test_tells_of_a_reboot() -> None:
    fleet = Fleet()
    fleet.observe(Kind.NODE, None, body(5, status={"nodeInfo": {"bootID": "one"}}))
    rebooted = body(6, status={"nodeInfo": {"bootID": "two"}})
    assert fleet.observe(Kind.NODE, "MODIFIED", rebooted) == {NODE_1}


def test_forgets_a_deleted_node() -> None:
    fleet = Fleet()
    fleet.observe(Kind.NODE, "ADDED", body(5))
    assert fleet.observe(Kind.NODE, DELETED, body(6)) == {NODE_1}
    assert fleet.node("node-1") is None


def test_finds_in_a_list_what_events_missed() -> None:
    fleet = Fleet()
    fleet.observe(Kind.NODE, "ADDED", body(5))
    assert fleet.replace(Kind.NODE, listing(body(7, name="node-2", uid="u2"))) == {
        NODE_1,
        Key(Kind.NODE, "node-2"),
    }


def test_is_complete_only_with_a_list_of_every_kind() -> None:
    fleet = Fleet()
    for kind in Kind:
        assert not fleet.complete
        fleet.replace(kind, listing())
    assert fleet.complete


def test_shows_why_a_policy_cannot_be_read() -> None:
    fleet = Fleet()
    fleet.observe(Kind.POLICY, "ADDED", body(name="p", spec={"mode": "Other"}))
    assert isinstance(fleet.policies()["p"], PolicyInvalid)


def test_tells_of_no_change_of_a_policy_that_stays_unreadable() -> None:
    fleet = Fleet()
    fleet.observe(Kind.POLICY, "ADDED", body(5, name="p", spec={}))
    assert fleet.observe(Kind.POLICY, "MODIFIED", body(6, name="p", spec={})) == set()


def test_tells_of_no_change_of_a_policy_when_its_status_is_written() -> None:
    fleet = Fleet()
    spec = {"referenceValueSetNames": ["images"]}
    fleet.observe(Kind.POLICY, "ADDED", body(5, name="p", spec=spec))
    assert isinstance(fleet.policies()["p"], Policy)
    assert fleet.observe(Kind.POLICY, "MODIFIED", body(6, name="p", spec=spec, status={})) == set()


def test_views_reference_values() -> None:
    fleet = Fleet()
    fleet.observe(Kind.REFERENCE_VALUE_SET, None, body(name="images", spec={"measurements": []}))
    assert set(fleet.reference_values()) == {"images"}


def test_views_a_record() -> None:
    fleet = Fleet()
    fleet.observe(Kind.NODE_ATTESTATION, None, body(spec={"nodeName": "node-1", "nodeUID": "n"}))
    record = fleet.record("node-1")
    assert record is not None
    assert fleet.records() == {"node-1": record}
    assert record.node_uid == "n"


@pytest.mark.parametrize("metadata", [None, [], {}, {"uid": 7}, {"resourceVersion": "x"}])
def test_skips_an_object_without_identity(metadata: Any) -> None:
    fleet = Fleet()
    broken = {"metadata": metadata and {"name": "n", "uid": "u", **metadata}}
    assert fleet.observe(Kind.NODE, "ADDED", broken) == set()
    assert fleet.skipped == 1


def test_keeps_what_it_knows_of_a_node_that_a_list_holds_in_an_odd_shape() -> None:
    fleet = Fleet()
    fleet.observe(Kind.NODE, "ADDED", body(5))
    broken = {"metadata": {"name": "node-1"}}
    changed = fleet.replace(Kind.NODE, listing(broken, body(6, name="node-2", uid="u2")))
    assert changed == {Key(Kind.NODE, "node-2")}
    assert set(fleet.nodes()) == {"node-1", "node-2"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", list(Kind))
@given(spec=json_values, status=json_values, labels=json_values, taints=json_values)
def test_survives_any_shape_and_sees_the_next_node(
    kind: Kind, spec: Any, status: Any, labels: Any, taints: Any
) -> None:
    fleet = Fleet()
    fleet.observe(kind, "ADDED", body(spec=spec, status=status, metadata={"labels": labels}))
    fleet.observe(kind, "MODIFIED", body(6, spec={"taints": taints}, status={"nodeInfo": status}))
    for view in fleet.nodes().values():
        assert (view.taint_effect, view.gate_labels, view.control_plane) == (None, {}, False)
    fleet.observe(Kind.NODE, "ADDED", body(7, name="other", uid="u2"))
    assert fleet.node("other") is not None
