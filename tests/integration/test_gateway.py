"""The gateway and what stands on it, against the real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus

import pytest

from nodeproof.result import LastRefusal, StoredEvidence
from nodeproof_dev.api import Api
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_operator.cluster.crds import wait_for_crds
from nodeproof_operator.cluster.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unreachable,
)
from nodeproof_operator.cluster.fleet import Fleet
from nodeproof_operator.cluster.gateway import JSON_PATCH, MERGE_PATCH, list_all
from nodeproof_operator.cluster.kinds import Kind
from nodeproof_operator.cluster.kubernetes_gateway import KubernetesGateway
from nodeproof_operator.cluster.lease import LeaseElector
from nodeproof_operator.cluster.objects import (
    NODES,
    config_map,
    lease,
    node,
    node_attestation,
    secret,
)
from nodeproof_operator.cluster.records import Records
from nodeproof_operator.cluster.secrets import PreparedObjectMissing, SealedStore
from nodeproof_operator.cluster.views import Record

pytestmark = pytest.mark.usefixtures("installation")

EVIDENCE = StoredEvidence(
    sequence=1, challenge=b"c" * 200, boot_id="boot", report=b"r" * 1184, certificates=(b"1", b"2")
)
REFUSAL = LastRefusal(
    datetime(2026, 11, 23, tzinfo=UTC), "SignatureInvalid", "not signed", 1, expected="x"
)


@pytest.fixture
async def gateway(plane: ControlPlane) -> AsyncIterator[KubernetesGateway]:
    """The gateway as the operator's own ServiceAccount."""
    kubeconfig = plane.service_account_kubeconfig("nodeproof-system", "nodeproof-operator")
    gateway = await KubernetesGateway.connect(kubeconfig)
    yield gateway
    await gateway.close()


@pytest.fixture
async def admin(plane: ControlPlane) -> AsyncIterator[KubernetesGateway]:
    """The gateway as an admin, for objects that only this test has."""
    gateway = await KubernetesGateway.connect(plane.admin_kubeconfig)
    yield gateway
    await gateway.close()


@pytest.fixture
def node_name(plane: ControlPlane, unique_name: str) -> Iterator[str]:
    """A Node that no kubelet stands behind."""
    plane.admin.create(
        NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": unique_name}}
    )
    yield unique_name
    plane.admin.delete(node(unique_name))


def poison(writer: Api, name: str, *, depth: int = 0, time: str = "2026-01-01T00:00:00Z") -> None:
    """Give a Node managedFields that the API server stores and serves, and others stumble over."""
    fields = '{"f:metadata":{"f:labels":' + '{"f:zone":' * depth + "{}" + "}" * depth + "}}"
    entry = (
        '{"manager":"m","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1",'
        f'"time":"{time}","fieldsV1":{fields}}}'
    )
    body = f'{{"metadata":{{"labels":{{"zone":"a"}},"managedFields":[{entry}]}}}}'.encode()
    with suppress(RecursionError):  # it has arrived; the answer is what cannot be read
        status, answer = writer.call("PATCH", node(name), body, content_type=MERGE_PATCH)
        assert status == HTTPStatus.OK, answer


def uid_of(api: Api, name: str) -> str:
    return str(api.get(node(name))["metadata"]["uid"])


async def test_refuses_a_patch_of_an_older_state(
    gateway: KubernetesGateway, node_name: str
) -> None:
    patch = {"metadata": {"resourceVersion": "1"}}
    with pytest.raises(Conflict):
        await gateway.call("PATCH", node(node_name), patch, content_type=MERGE_PATCH)


async def test_refuses_a_patch_of_another_node_of_the_same_name(
    gateway: KubernetesGateway, node_name: str
) -> None:
    patch = {"metadata": {"uid": "11111111-2222-3333-4444-555555555555"}}
    with pytest.raises(Invalid):
        await gateway.call("PATCH", node(node_name), patch, content_type=MERGE_PATCH)


async def test_refuses_a_json_patch_whose_test_fails(
    gateway: KubernetesGateway, node_name: str
) -> None:
    patch = [{"op": "test", "path": "/metadata/uid", "value": "other"}]
    with pytest.raises(Invalid):
        await gateway.call("PATCH", node(node_name), patch, content_type=JSON_PATCH)


async def test_finds_no_node_that_is_not_there(gateway: KubernetesGateway) -> None:
    with pytest.raises(NotFound):
        await gateway.call("GET", node("nobody"))


async def test_may_not_delete_a_node(gateway: KubernetesGateway, node_name: str) -> None:
    with pytest.raises(Forbidden, match="cannot delete resource"):
        await gateway.call("DELETE", node(node_name))


async def test_reports_a_timeout(gateway: KubernetesGateway) -> None:
    with pytest.raises(Unreachable):
        await gateway.call("GET", NODES, timeout=0.0001)


async def test_lists_in_pages(
    gateway: KubernetesGateway,
    plane: ControlPlane,
    node_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nodeproof_operator.cluster.gateway.PAGE_SIZE", 1)
    second = f"{node_name}-b"
    plane.admin.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": second}})
    listing = await list_all(gateway, NODES)
    plane.admin.delete(node(second))
    assert {node_name, second} <= {each["metadata"]["name"] for each in listing.items}


async def test_sees_all_nodes_though_one_holds_a_time_of_year_10000(
    gateway: KubernetesGateway, plane: ControlPlane, node_name: str
) -> None:
    poison(plane.admin, node_name, time="9999-12-31T23:59:59-05:00")
    fleet = Fleet()
    fleet.replace(Kind.NODE, await list_all(gateway, NODES))
    assert node_name in fleet.nodes()
    assert fleet.skipped == 0


async def test_sees_all_nodes_though_a_kubelet_nests_its_own_too_deep_to_read(
    gateway: KubernetesGateway, plane: ControlPlane, node_name: str
) -> None:
    poison(plane.identity(f"system:node:{node_name}", ("system:nodes",)), node_name, depth=2_000)
    fleet = Fleet()
    fleet.replace(Kind.NODE, await list_all(gateway, NODES))
    assert node_name in fleet.nodes()
    assert (await gateway.call("GET", node(node_name)))["metadata"]["name"] == node_name


async def test_finds_the_crds(gateway: KubernetesGateway) -> None:
    async def never(_: float) -> None:
        pytest.fail("there is nothing to wait for")

    await wait_for_crds(gateway, sleep=never)


async def test_works_again_when_the_api_server_is_back(
    own_plane: ControlPlane, gateway: KubernetesGateway
) -> None:
    await gateway.call("GET", NODES)
    with own_plane.api_server_stopped(), pytest.raises(Unreachable):
        await gateway.call("GET", NODES)
    assert (await gateway.call("GET", NODES))["kind"] == "NodeList"


async def test_keeps_evidence_in_a_record_that_goes_with_its_node(
    gateway: KubernetesGateway, plane: ControlPlane, node_name: str
) -> None:
    records = Records(gateway)
    await records.ensure(node_name, uid_of(plane.admin, node_name))
    await written(records, node_name, lambda record: records.write_evidence(record, EVIDENCE))
    assert (await records.read(node_name)).status.evidence == EVIDENCE
    plane.admin.delete(node(node_name))
    plane.admin.wait_gone(node_attestation(node_name))


async def test_replaces_the_record_of_an_earlier_node(
    gateway: KubernetesGateway, node_name: str
) -> None:
    records = Records(gateway)
    await records.ensure(node_name, "an-earlier-node")
    new = await records.ensure(node_name, "the-node-of-today")
    assert (new.node_uid, new.status.evidence) == ("the-node-of-today", None)


async def test_writes_no_status_over_what_it_has_not_read(
    gateway: KubernetesGateway, plane: ControlPlane, node_name: str
) -> None:
    records = Records(gateway)
    stale = await records.ensure(node_name, uid_of(plane.admin, node_name))
    await written(records, node_name, lambda record: records.write_refusal(record, REFUSAL))
    with pytest.raises(Conflict):
        await records.write_evidence(stale, EVIDENCE)


async def test_forgets_the_refusal_when_evidence_is_accepted(
    gateway: KubernetesGateway, plane: ControlPlane, node_name: str
) -> None:
    records = Records(gateway)
    await records.ensure(node_name, uid_of(plane.admin, node_name))
    await written(records, node_name, lambda record: records.write_refusal(record, REFUSAL))
    await written(records, node_name, lambda record: records.write_evidence(record, EVIDENCE))
    assert (await records.read(node_name)).status.last_refusal is None


async def test_fills_a_secret_only_in_the_state_that_was_read(
    admin: KubernetesGateway, plane: ControlPlane, namespace: str
) -> None:
    plane.admin.create(secret(namespace, "x")[:-2], {"metadata": {"name": "keys"}})
    store = SealedStore(admin, namespace)
    data, found = await store.read("keys")
    filled = await store.fill("keys", {"old": b"\x00"}, found)
    with pytest.raises(Conflict):
        await store.fill("keys", {"key": b"other"}, found)
    await store.fill("keys", {"new": b"\xff"}, filled)
    assert (data, (await store.read("keys"))[0]) == ({}, {"new": b"\xff"})


async def test_publishes_in_a_config_map(
    admin: KubernetesGateway, plane: ControlPlane, namespace: str
) -> None:
    plane.admin.create(config_map(namespace, "x")[:-2], {"metadata": {"name": "public"}})
    store = SealedStore(admin, namespace)
    await store.publish("public", {"old": "1"})
    await store.publish("public", {"new": "2"})
    assert plane.admin.get(config_map(namespace, "public"))["data"] == {"new": "2"}


async def test_says_what_to_apply_when_a_secret_is_missing(
    admin: KubernetesGateway, namespace: str
) -> None:
    with pytest.raises(PreparedObjectMissing, match="deploy/"):
        await SealedStore(admin, namespace).read("keys")


async def test_takes_the_lease_and_hands_it_over(
    admin: KubernetesGateway, plane: ControlPlane, namespace: str
) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    tasks = [
        asyncio.create_task(elector(admin, namespace, "a", first).run()),
        asyncio.create_task(first_then(first, elector(admin, namespace, "b", second).run())),
    ]
    async with asyncio.timeout(20):
        await first.wait()
        tasks[0].cancel()
        await second.wait()
    spec = plane.admin.get(lease(namespace, "nodeproof-operator"))["spec"]
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("b", 1)


async def first_then(begun: asyncio.Event, following: Awaitable[None]) -> None:
    await begun.wait()
    await following


def elector(
    gateway: KubernetesGateway, namespace: str, identity: str, started: asyncio.Event
) -> LeaseElector:
    return LeaseElector(
        gateway,
        namespace=namespace,
        identity=identity,
        on_started=started.set,
        on_stopped=lambda: None,
    )


async def written(
    records: Records, name: str, write: Callable[[Record], Awaitable[Record]]
) -> Record:
    """Write once nobody was first: the run's operator may be writing too."""
    for _ in range(10):
        try:
            return await write(await records.read(name))
        except Conflict:
            continue
    pytest.fail("somebody else writes all the time")
