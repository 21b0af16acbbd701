"""One run against an API server in memory: what is taken away, what is said, what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fakes.fake_api import FakeApi, Request
from fakes.virtual_time import VirtualTime, settle
from nodeproof_operator.cleanup.settings import parse
from nodeproof_operator.cleanup.work import Cleanup
from nodeproof_operator.cluster.errors import Conflict, Forbidden, Unreachable
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.lease import Timing
from nodeproof_operator.cluster.objects import (
    GATE_PREFIX,
    TAINT_KEY,
    lease,
    node,
    node_attestation,
)

LEASE = lease("nodeproof-system", "nodeproof-operator")
OURS: Json = {"key": TAINT_KEY, "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
FIRST: Json = {"key": "a.example/first", "effect": "NoSchedule"}
LAST: Json = {"key": "z.example/last", "effect": "NoExecute", "value": "x", "unheardOf": 1}
LABELS = {GATE_PREFIX + "one": "true", GATE_PREFIX + "two": "true", "example.org/kept": "yes"}


class Run:
    """A cleanup whose time is the test's."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.time = VirtualTime()
        self.lines: list[str] = []
        self.task: asyncio.Task[bool] | None = None

    def start(self, *arguments: str) -> asyncio.Task[bool]:
        timing = Timing(self.time.clock, self.time.now, self.time.sleep, lambda: 0.5)
        work = Cleanup(parse(arguments, {}), self.api, self.lines.append, timing)
        self.task = asyncio.create_task(work.run())
        return self.task

    async def finish(self, *arguments: str, seconds: float = 300) -> bool:
        task = self.start(*arguments)
        await self.time.advance(seconds)
        return await task

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def holder(self) -> str:
        return str(self.api.read(LEASE)["spec"].get("holderIdentity", ""))


@pytest.fixture
def api() -> FakeApi:
    """A cluster with a leader, one Node of each kind, and a result."""
    made = FakeApi()
    made.put(LEASE, {"spec": {"holderIdentity": "operator-1"}})
    put_node(made, "good", labels=LABELS)
    put_node(made, "bad", taints=[FIRST, OURS, LAST])
    put_node(made, "other", labels={"example.org/kept": "yes"}, taints=[LAST])
    made.put(node_attestation("good"), {"spec": {"nodeName": "good"}})
    return made


@pytest.fixture
async def run(api: FakeApi) -> AsyncIterator[Run]:
    made = Run(api)
    yield made
    if made.task is not None:
        made.task.cancel()
        await settle()


def put_node(api: FakeApi, name: str, *, labels: Any = None, taints: Any = None) -> None:
    body: Json = {"metadata": {"name": name, "labels": labels or {}}, "spec": {}}
    if taints is not None:
        body["spec"]["taints"] = taints
    api.put(node(name), body)


async def test_takes_every_label_of_ours_and_no_other(run: Run) -> None:
    assert await run.finish()
    assert run.api.read(node("good"))["metadata"]["labels"] == {"example.org/kept": "yes"}


async def test_takes_our_taint_and_leaves_the_others_as_they_were(run: Run) -> None:
    assert await run.finish()
    assert run.api.read(node("bad"))["spec"]["taints"] == [FIRST, LAST]


async def test_touches_no_node_without_anything_of_ours(run: Run) -> None:
    before = run.api.read(node("other"))
    assert await run.finish()
    assert run.api.read(node("other")) == before


async def test_writes_to_no_node_before_the_leaders_last_write_is_over(run: Run) -> None:
    run.start()
    await run.time.advance(11)
    assert run.api.sent("PATCH") == []
    await run.time.advance(60)
    assert run.api.sent("PATCH")


async def test_a_last_write_of_the_leader_is_taken_back(run: Run) -> None:
    """It was under way when the Lease changed hands, and is served after the first pass."""
    patched = 0

    async def late(request: Request) -> None:
        nonlocal patched
        patched += request.method == "PATCH"
        if patched == 1 and request.method == "PATCH":
            put_node(run.api, "other", labels={GATE_PREFIX + "one": "true"})

    run.api.before = late
    assert await run.finish()
    assert GATE_PREFIX + "one" not in run.api.read(node("other"))["metadata"].get("labels", {})


async def test_the_lease_stays_ours_when_all_is_done(run: Run) -> None:
    assert await run.finish()
    assert run.holder().startswith("cleanup-")
    assert run.api.read(LEASE)["spec"]["leaseDurationSeconds"] == 60


async def test_says_what_it_did_to_each_node(run: Run) -> None:
    assert await run.finish()
    assert f"node good: removed label {GATE_PREFIX}one, label {GATE_PREFIX}two" in run.said
    assert f"node bad: removed taint {TAINT_KEY}:NoExecute" in run.said
    assert "3 nodes: 2 cleaned, 0 failed" in run.said
    assert "operator-1 held it" in run.said


async def test_results_are_kept_unless_told_otherwise(run: Run) -> None:
    assert await run.finish()
    assert run.api.read(node_attestation("good"))
    assert "results: 1 NodeAttestations kept" in run.said


async def test_results_are_deleted_on_request(run: Run) -> None:
    assert await run.finish("--results=delete")
    assert node_attestation("good") not in run.api.objects
    assert "results: 1 NodeAttestations deleted" in run.said


async def test_a_node_that_cannot_be_cleaned_is_named_and_the_lease_given_back(run: Run) -> None:
    run.api.fail_next(Forbidden("refused by x", status=403), times=99, path=node("bad"))
    assert not await run.finish()
    assert (
        "FAILED: node bad may still carry our labels or taint: Forbidden: refused by x" in run.said
    )
    assert "1 cleaned, 1 failed" in run.said
    assert run.holder() == ""
    assert "good" not in str([each for each in run.lines if each.startswith("FAILED")])


async def test_a_server_in_trouble_is_asked_again(run: Run) -> None:
    run.api.fail_next(Unreachable("no answer", status=0), times=4, method="PATCH")
    assert await run.finish()
    assert run.api.read(node("bad"))["spec"]["taints"] == [FIRST, LAST]


async def test_trouble_that_lasts_ends_at_the_timeout(run: Run) -> None:
    run.api.fail_next(Unreachable("no answer", status=0), times=9999, method="PATCH")
    task = run.start("--timeout=20")
    await run.time.advance(12 + 20 + 5)
    assert task.done()
    assert not await task
    assert run.holder() == ""


async def test_a_node_that_writes_all_the_time_keeps_nothing(run: Run) -> None:
    async def hammer(request: Request) -> None:
        if request.method == "PATCH":
            body = run.api.read(request.path)
            body["status"] = {"phase": str(len(run.api.requests))}
            run.api.put(request.path, body)

    run.api.before = hammer
    assert await run.finish()
    assert run.api.read(node("bad"))["spec"]["taints"] == [FIRST, LAST]
    assert run.api.read(node("good"))["metadata"]["labels"] == {"example.org/kept": "yes"}


async def test_nothing_is_written_once_another_has_the_lease(run: Run) -> None:
    async def seize(request: Request) -> None:
        if request.method == "GET" and request.path == "/api/v1/nodes":
            run.api.put(LEASE, {"spec": {"holderIdentity": "another"}})
            await run.time.sleep(6)

    run.api.before = seize
    assert not await run.finish()
    assert run.api.sent("PATCH") == []
    assert run.holder() == "another"


async def test_an_interrupted_run_gives_the_lease_back(run: Run) -> None:
    task = run.start()
    await run.time.advance(5)
    assert run.holder().startswith("cleanup-")
    task.cancel()
    await settle()
    assert task.cancelled()
    assert run.holder() == ""


async def test_results_that_cannot_be_deleted_are_a_failure(run: Run) -> None:
    run.api.fail_next(Conflict("no", status=409), method="DELETE")
    assert not await run.finish("--results=delete")
    assert "FAILED: Conflict" in run.said
    assert run.holder() == ""


async def test_a_cluster_without_nodes_and_kinds_is_done_at_once() -> None:
    run = Run(FakeApi())
    assert await run.finish(seconds=5)
    assert "0 nodes: 0 cleaned, 0 failed" in run.said
