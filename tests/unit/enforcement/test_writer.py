from __future__ import annotations

from typing import Any

import pytest

from fakes.enforcement import GATE, NODE, NODE_UID, NOW, TAINT, Leadership, put_node
from fakes.fake_api import FakeApi, Request
from nodeproof_operator.cluster.errors import Conflict, Invalid, Unreachable
from nodeproof_operator.cluster.gateway import JSON_PATCH, MERGE_PATCH, Json
from nodeproof_operator.cluster.objects import node as path_of
from nodeproof_operator.cluster.views import NodeView, view_node
from nodeproof_operator.enforcement.desired import Lower, Raise, Withdraw
from nodeproof_operator.enforcement.errors import LeadershipUncertain, WriterClosed
from nodeproof_operator.enforcement.writer import Gate, Writer

PATH = path_of(NODE)
GATES = frozenset({GATE})
FIRST: Json = {
    "key": "a.example/first",
    "effect": "NoSchedule",
    "timeAdded": "2026-01-01T00:00:00Z",
}
LAST: Json = {"key": "z.example/last", "effect": "NoExecute", "value": "x", "unheardOf": 1}
OURS: Json = {"key": TAINT, "effect": "NoSchedule"}
POISON = {"conditions": [{"lastHeartbeatTime": "10000-01-01T04:59:59Z"}]}


class Fixture:
    """A writer, what it counted and what it has seen."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.leadership = Leadership()
        self.gate = Gate(self.leadership)
        self.gate.open()
        self.counted: list[tuple[str, str]] = []
        self.seen: list[Json] = []
        self.writer = Writer(
            api,
            self.gate,
            clock=lambda: NOW,
            count=lambda action, result: self.counted.append((action, result)),
            observe=self.seen.append,
        )

    def view(self) -> NodeView:
        return view_node(self.api.read(PATH))

    def taints(self) -> list[Any]:
        taints: list[Any] = self.api.read(PATH).get("spec", {}).get("taints", [])
        return taints


@pytest.fixture
def fixture(api: FakeApi) -> Fixture:
    return Fixture(api)


def every_write_changes_the_version(api: FakeApi, *, taints: bool = False) -> None:
    """Play a kubelet, or a taint controller, that is always a moment faster."""
    rounds = 0

    async def hammer(request: Request) -> None:
        nonlocal rounds
        if request.method == "PATCH":
            rounds += 1
            body = api.read(PATH)
            body["status"] = {**body.get("status", {}), "phase": str(rounds)}
            if taints:
                body["spec"] = {"taints": [{"key": f"t{rounds}", "effect": "NoSchedule"}]}
            api.put(PATH, body)

    api.before = hammer


async def test_raise_is_one_merge_patch_with_all_preconditions(fixture: Fixture) -> None:
    put_node(fixture.api, taints=[FIRST, OURS, LAST])
    view = fixture.view()
    await fixture.writer.apply(view, Raise(GATES, None))
    (request,) = fixture.api.sent("PATCH")
    assert request.content_type == MERGE_PATCH
    assert request.body == {
        "metadata": {
            "uid": NODE_UID,
            "resourceVersion": view.resource_version,
            "labels": {GATE: "true"},
            "managedFields": None,
        },
        "spec": {"taints": [FIRST, LAST]},
        "status": None,
    }


async def test_raise_keeps_status_and_others_taints(fixture: Fixture) -> None:
    put_node(fixture.api, taints=[FIRST, OURS, LAST])
    before = fixture.api.read(PATH)
    await fixture.writer.apply(fixture.view(), Raise(GATES, None))
    after = fixture.api.read(PATH)
    assert after["status"] == before["status"]
    assert after["spec"]["taints"] == [FIRST, LAST]
    assert after["metadata"]["labels"] == {GATE: "true"}


async def test_raise_on_an_old_view_is_refused_and_not_repeated(fixture: Fixture) -> None:
    view = fixture.view()
    put_node(fixture.api, taints=[LAST])
    with pytest.raises(Conflict):
        await fixture.writer.apply(view, Raise(GATES, None))
    assert len(fixture.api.sent("PATCH")) == 1
    assert fixture.counted == [("raise", "conflict")]


async def test_label_is_conditional_on_the_uid_alone(fixture: Fixture) -> None:
    put_node(fixture.api, labels={GATE: "true", "other": "stays"})
    await fixture.writer.apply(fixture.view(), Lower(GATES))
    (request,) = fixture.api.sent("PATCH")
    assert request.body == {
        "metadata": {"uid": NODE_UID, "labels": {GATE: None}, "managedFields": None},
        "status": None,
    }
    assert fixture.api.read(PATH)["metadata"]["labels"] == {"other": "stays"}


async def test_lowering_succeeds_at_once_while_the_kubelet_writes_all_the_time(
    fixture: Fixture,
) -> None:
    put_node(fixture.api, labels={GATE: "true"}, taints=[FIRST])
    every_write_changes_the_version(fixture.api)
    await fixture.writer.apply(fixture.view(), Lower(GATES, "NoExecute"))
    assert len(fixture.api.sent("PATCH")) == 2
    assert fixture.view().gate_labels == {}
    assert fixture.view().taint_effect == "NoExecute"


async def test_label_and_taint_reach_a_node_that_cannot_be_patched_otherwise(
    fixture: Fixture,
) -> None:
    put_node(fixture.api, labels={GATE: "true"})
    body = fixture.api.read(PATH) | {"status": POISON}
    body["metadata"]["managedFields"] = [{"time": "2026-01-01T00:00:00Z"}]
    fixture.api.put(PATH, body)
    await fixture.writer.apply(fixture.view(), Lower(GATES, "NoExecute"))
    assert fixture.view().gate_labels == {}
    assert fixture.view().taint_effect == "NoExecute"
    assert fixture.api.read(PATH)["status"] == POISON


async def test_taint_is_a_json_patch_that_tests_what_was_read(fixture: Fixture) -> None:
    await fixture.writer.apply(fixture.view(), Lower(frozenset(), "NoSchedule"))
    (request,) = fixture.api.sent("PATCH")
    assert request.content_type == JSON_PATCH
    assert request.body == [
        {"op": "test", "path": "/metadata/uid", "value": NODE_UID},
        {"op": "test", "path": "/spec/taints", "value": None},
        {"op": "add", "path": "/spec/taints", "value": [OURS]},
        {"op": "add", "path": "/status", "value": {}},
    ]


async def test_no_execute_taint_says_since_when(fixture: Fixture) -> None:
    put_node(fixture.api, taints=[FIRST, OURS, LAST])
    await fixture.writer.apply(fixture.view(), Lower(frozenset(), "NoExecute"))
    ours = {"key": TAINT, "effect": "NoExecute", "timeAdded": "2026-03-02T12:00:00Z"}
    assert fixture.taints() == [FIRST, LAST, ours]


async def test_taint_is_tried_again_on_fresh_taints(fixture: Fixture) -> None:
    view = fixture.view()
    put_node(fixture.api, taints=[FIRST])
    await fixture.writer.apply(view, Lower(frozenset(), "NoSchedule"))
    assert fixture.taints() == [FIRST, OURS]


async def test_taint_that_is_strong_enough_by_now_is_left(fixture: Fixture) -> None:
    view = fixture.view()
    stronger = {"key": TAINT, "effect": "NoExecute"}
    put_node(fixture.api, taints=[stronger])
    await fixture.writer.apply(view, Lower(frozenset(), "NoSchedule"))
    assert fixture.taints() == [stronger]


async def test_tries_for_the_taint_are_bounded(fixture: Fixture) -> None:
    every_write_changes_the_version(fixture.api, taints=True)
    with pytest.raises(Invalid):
        await fixture.writer.apply(fixture.view(), Lower(frozenset(), "NoSchedule"))
    assert len(fixture.api.sent("PATCH")) == 5


@pytest.mark.parametrize("change", [Raise(GATES, None), Lower(GATES, "NoExecute")])
async def test_node_that_is_gone_is_no_failure(fixture: Fixture, change: Any) -> None:
    put_node(fixture.api, labels={GATE: "true"})
    view = fixture.view()
    fixture.api.remove(PATH)
    assert await fixture.writer.apply(view, change) is None
    assert fixture.counted[0][1] == "gone"


@pytest.mark.parametrize("labels", [GATES, frozenset()])
async def test_node_that_came_back_under_its_name_is_not_touched(
    fixture: Fixture, labels: frozenset[str]
) -> None:
    view = fixture.view()
    fixture.api.remove(PATH)
    reborn = fixture.api.put(PATH, {"metadata": {"uid": "another", "labels": {GATE: "true"}}})
    assert await fixture.writer.apply(view, Lower(labels, "NoExecute")) is None
    assert fixture.api.read(PATH) == reborn


async def test_every_answer_is_shown_to_the_fleet(fixture: Fixture) -> None:
    after = await fixture.writer.apply(fixture.view(), Raise(GATES, None))
    assert after == fixture.view()
    assert fixture.seen == [fixture.api.read(PATH)]


async def test_nothing_is_sent_before_the_gate_is_open(fixture: Fixture) -> None:
    fixture.gate.close()
    with pytest.raises(WriterClosed):
        await fixture.writer.apply(fixture.view(), Raise(GATES, None))
    assert fixture.api.requests == []


async def test_nothing_is_sent_when_the_lease_may_end_first(fixture: Fixture) -> None:
    fixture.leadership.seconds = 5.0
    with pytest.raises(LeadershipUncertain):
        await fixture.writer.apply(fixture.view(), Lower(GATES))
    assert fixture.api.requests == []
    assert fixture.counted == [("lower", "not_leading")]


async def test_taint_is_not_sent_when_the_lease_ran_out_after_the_label(fixture: Fixture) -> None:
    async def expire(_: Request) -> None:
        fixture.leadership.seconds = 0.0

    put_node(fixture.api, labels={GATE: "true"})
    fixture.api.before = expire
    with pytest.raises(LeadershipUncertain):
        await fixture.writer.apply(fixture.view(), Lower(GATES, "NoExecute"))
    assert fixture.view().gate_labels == {}
    assert fixture.view().taint_effect is None


async def test_trouble_of_the_server_is_counted_and_raised(fixture: Fixture) -> None:
    fixture.api.fail_next(Unreachable("no answer", status=0), method="PATCH")
    with pytest.raises(Unreachable):
        await fixture.writer.apply(fixture.view(), Raise(GATES, None))
    assert fixture.counted == [("raise", "unreachable")]


async def test_withdrawal_takes_labels_and_taint_of_a_node_that_writes_all_the_time(
    fixture: Fixture,
) -> None:
    put_node(fixture.api, labels={GATE: "true", "kept": "1"}, taints=[FIRST, OURS, LAST])
    every_write_changes_the_version(fixture.api)
    after = await fixture.writer.apply(fixture.view(), Withdraw(GATES))
    assert after is not None
    assert after.labels == {"kept": "1"}
    assert fixture.taints() == [FIRST, LAST]
    assert fixture.counted == [("withdraw", "done")]


async def test_withdrawal_of_labels_alone_leaves_taints_alone(fixture: Fixture) -> None:
    put_node(fixture.api, labels={GATE: "true"}, taints=[LAST])
    await fixture.writer.apply(fixture.view(), Withdraw(GATES))
    (request,) = fixture.api.sent("PATCH")
    assert request.content_type == MERGE_PATCH
    assert "spec" not in request.body


async def test_withdrawal_stops_where_somebody_else_took_the_taint(fixture: Fixture) -> None:
    put_node(fixture.api, taints=[OURS, LAST])
    view = fixture.view()
    put_node(fixture.api, taints=[LAST])
    assert await fixture.writer.apply(view, Withdraw(frozenset())) is not None
    assert fixture.taints() == [LAST]
