from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import cast

from fakes.endorsing import FakeEndorsements
from fakes.enforcement import CLUSTER_UID, GATE, NODE, Keys, Leadership, NodeApi, put_node
from fakes.fake_api import FakeApi
from nodeproof_operator.assembly import Terms, utc_now
from nodeproof_operator.cluster import objects
from nodeproof_operator.cluster.fleet import Fleet
from nodeproof_operator.cluster.kinds import Kind
from nodeproof_operator.cluster.lease import LeaseElector
from nodeproof_operator.enforcement.desired import Lower
from nodeproof_operator.enforcement.queue import WorkQueue
from nodeproof_operator.enforcement.verification import StoredVerifier
from nodeproof_operator.enforcement.writer import Gate
from nodeproof_operator.metrics import Metrics


def terms_over(api: FakeApi, fleet: Fleet) -> Terms:
    verifier = StoredVerifier(
        CLUSTER_UID,
        Keys(),
        [],
        FakeEndorsements(),
        executor=ThreadPoolExecutor(1),
        clock=utc_now,
    )
    elector = cast("LeaseElector", Leadership())
    return Terms("replica-1", api, Metrics(), fleet, verifier, elector)


async def test_what_a_write_reveals_of_a_node_is_looked_at() -> None:
    api, fleet, gate = NodeApi(), Fleet(), Gate(Leadership())
    queue = WorkQueue(lambda: 0.0, Random(1))  # noqa: S311 - spreads retries only
    put_node(api, labels={GATE: "true"}, boot_id="boot-1")
    fleet.observe(Kind.NODE, "ADDED", api.read(objects.node(NODE)))
    seen = fleet.node(NODE)
    assert seen is not None
    put_node(api, labels={GATE: "true"}, boot_id="boot-2")
    gate.open()
    await terms_over(api, fleet)._writer(gate, queue).apply(seen, Lower(frozenset({GATE})))
    assert len(queue) == 1
