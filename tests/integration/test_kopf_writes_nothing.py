"""kopf watches with the operator's own rights, tells what happens, and writes to no object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from nodeproof_dev.api import Object
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_operator.cluster.gateway import MERGE_PATCH, Json
from nodeproof_operator.cluster.kinds import Kind
from nodeproof_operator.cluster.kubernetes_gateway import KubernetesGateway
from nodeproof_operator.cluster.objects import NODES, node
from nodeproof_operator.cluster.runner import Runner

pytestmark = pytest.mark.usefixtures("installation")

KOPFS_OWN_FINALIZER = "kopf.zalando.org/KopfFinalizerMarker"
MEASUREMENT = {"name": "image", "measurement": "0a" * 48, "covers": "Kernel"}


class Watch:
    """What kopf has told so far."""

    def __init__(self) -> None:
        self.told: list[tuple[Kind, str | None, str]] = []
        self.deaths = 0
        self._news = asyncio.Event()

    def deliver(self, kind: Kind, event_type: str | None, body: Json) -> None:
        self.told.append((kind, event_type, body["metadata"]["name"]))
        self._news.set()

    def die(self) -> None:
        self.deaths += 1

    async def until(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not predicate():
                self._news.clear()
                await self._news.wait()

    def has(self, kind: Kind, name: str, *types: str | None) -> Callable[[], bool]:
        return lambda: any((kind, each, name) in self.told for each in types)


@pytest.fixture
async def watch(plane: ControlPlane) -> AsyncIterator[Watch]:
    """A running kopf with the operator's ServiceAccount."""
    kubeconfig = plane.service_account_kubeconfig("nodeproof-system", "nodeproof-operator")
    gateway = await KubernetesGateway.connect(kubeconfig)
    watch = Watch()
    task = asyncio.create_task(Runner(gateway.credentials, watch.deliver, watch.die).run())
    yield watch
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await gateway.close()
    assert watch.deaths == 0


@pytest.fixture
def objects(plane: ControlPlane, unique_name: str) -> Iterator[dict[Kind, Object]]:
    """One object of each kind, named alike; the Node bears kopf's well-known finalizer."""
    specs: dict[Kind, tuple[str, Any]] = {
        Kind.NODE: ("Node", {}),
        Kind.NODE_ATTESTATION: ("NodeAttestation", {"nodeName": unique_name, "nodeUID": "u"}),
        Kind.POLICY: (
            "AttestationPolicy",
            {
                "referenceValueSetNames": ["images"],
                "nodeSelector": {"matchLabels": {"nobody": "has-this"}},
            },
        ),
        Kind.REFERENCE_VALUE_SET: ("ReferenceValueSet", {"measurements": [MEASUREMENT]}),
    }
    made = {}
    for kind, (name, spec) in specs.items():
        version = f"{kind.group}/{kind.version}".lstrip("/")
        metadata: Object = {"name": unique_name}
        if kind is Kind.NODE:
            metadata["finalizers"] = [KOPFS_OWN_FINALIZER]
        body = {"apiVersion": version, "kind": name, "metadata": metadata, "spec": spec}
        made[kind] = plane.admin.create(kind.path, body)
    yield made
    plane.admin.merge_patch(node(unique_name), {"metadata": {"finalizers": None}})
    for kind in Kind:
        plane.admin.delete(f"{kind.path}/{unique_name}")


async def test_tells_of_every_kind_that_exists(
    watch: Watch, objects: dict[Kind, Object], unique_name: str
) -> None:
    for kind in objects:
        await watch.until(watch.has(kind, unique_name, None, "ADDED", "MODIFIED"))


async def test_tells_of_changes_and_ends(
    watch: Watch, plane: ControlPlane, unique_name: str
) -> None:
    plane.admin.create(
        NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": unique_name}}
    )
    await watch.until(watch.has(Kind.NODE, unique_name, "ADDED", None))
    plane.admin.merge_patch(node(unique_name), {"metadata": {"labels": {"zone": "a"}}})
    await watch.until(watch.has(Kind.NODE, unique_name, "MODIFIED"))
    plane.admin.delete(node(unique_name))
    await watch.until(watch.has(Kind.NODE, unique_name, "DELETED"))


async def test_writes_to_nothing_that_it_watches(
    watch: Watch, plane: ControlPlane, objects: dict[Kind, Object], unique_name: str
) -> None:
    for kind in objects:
        await watch.until(watch.has(kind, unique_name, None, "ADDED", "MODIFIED"))
    # A later change has gone through the same handlers before we look.
    plane.admin.merge_patch(node(unique_name), {"metadata": {"labels": {"zone": "a"}}})
    await watch.until(watch.has(Kind.NODE, unique_name, "MODIFIED"))
    for kind, before in objects.items():
        after = plane.admin.get(f"{kind.path}/{unique_name}")
        assert not [each for each in managers(after) if "kopf" in each.lower()]
        assert marks(after) == marks(before)
        if kind in {Kind.POLICY, Kind.REFERENCE_VALUE_SET}:
            assert after["metadata"]["generation"] == before["metadata"]["generation"]


async def test_goes_on_after_a_node_that_is_nested_too_deep_to_read(
    watch: Watch, plane: ControlPlane, unique_name: str
) -> None:
    for suffix in ("rogue", "next"):
        name = f"{unique_name}-{suffix}"
        plane.admin.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        await watch.until(watch.has(Kind.NODE, name, "ADDED", None))
        kubelet = plane.identity(f"system:node:{name}", ("system:nodes",))
        with suppress(RecursionError):  # it has arrived; the answer is what cannot be read
            kubelet.call("PATCH", node(name), too_deep(), content_type=MERGE_PATCH)
        await watch.until(watch.has(Kind.NODE, name, "MODIFIED"))
        plane.admin.delete(node(name))
        await watch.until(watch.has(Kind.NODE, name, "DELETED"))


def too_deep() -> bytes:
    """Return a patch as a rogue kubelet may send one: 2,000 levels of managedFields."""
    fields = b'{"f:metadata":{"f:labels":' + b'{"f:zone":' * 2_000 + b"{}" + b"}" * 2_002
    return (
        b'{"metadata":{"labels":{"zone":"a"},"managedFields":[{"manager":"m",'
        b'"operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z",'
        b'"fieldsType":"FieldsV1","fieldsV1":' + fields + b"}]}}"
    )


def managers(body: Object) -> set[str]:
    """Return who has written to an object: kopf names itself in its requests."""
    return {each["manager"] for each in body["metadata"].get("managedFields", ())}


def marks(body: Object) -> tuple[Any, Any]:
    """Return what kopf leaves on objects when it is used in other ways."""
    annotations = body["metadata"].get("annotations", {})
    ours = {key: value for key, value in annotations.items() if "kopf" in key or "nodeproof" in key}
    return ours, body["metadata"].get("finalizers")
