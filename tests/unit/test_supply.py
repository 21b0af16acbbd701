from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cases.held import revoking
from fakes.claims import claims
from fakes.fake_api import FakeApi
from fakes.simulated import NOW, authority, machine
from nodeproof.errors import EndorsementsMissing
from nodeproof.sevsnp.kds import CAName, CollateralName, CRLName
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.cluster.objects import config_map, config_maps, endorsements
from nodeproof_operator.endorsements.errors import NotOffered
from nodeproof_operator.metrics import Metrics
from nodeproof_operator.supply import FIRST_READINGS, FIRST_SECONDS, Site, Supply

NAMESPACE = "nodeproof-system"
MISSING = EndorsementsMissing("no VCEK")


@dataclass
class KeyService:
    """Hands out a chain, a list and one machine's VCEK."""

    crl: bytes
    asked: list[CollateralName] = field(default_factory=list)

    async def get(self, name: CollateralName) -> bytes:
        self.asked.append(name)
        if isinstance(name, CAName):
            return authority().ask + authority().ark
        if isinstance(name, CRLName):
            return self.crl
        raise NotOffered("no such chip")


@dataclass
class Case:
    api: FakeApi = field(default_factory=FakeApi)
    metrics: Metrics = field(default_factory=Metrics)
    told: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        for product in ("milan", "genoa", "turin"):
            self.api.put(config_map(NAMESPACE, endorsements(product)), {"metadata": LABELLED})

    def supply(self, kds: KeyService | None = None) -> Supply:
        anchors = [authority().anchor()]
        site = Site(self.api, NAMESPACE, anchors, dict, lambda: NOW)
        return Supply(
            site,
            kds,
            self.metrics.endorsements,
            lambda: self.told.append("changed"),
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def store(self, **values: bytes) -> None:
        data = {name: value.decode() for name, value in values.items()}
        path = config_map(NAMESPACE, endorsements("milan"))
        self.api.put(path, {"metadata": LABELLED, "data": data})


LABELLED: dict[str, Any] = {"labels": {"nodeproof.dev/endorsements": "true"}}


def pem(crl: bytes) -> bytes:
    return x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)


@asynccontextmanager
async def fetching(supply: Supply) -> AsyncIterator[None]:
    assert supply.fetcher is not None
    task = asyncio.create_task(supply.fetcher.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def case() -> Case:
    return Case()


async def test_stored_lists_are_there_before_anything_is_decided(case: Case) -> None:
    crl = revoking()
    case.store(ark=authority().ark, ask=authority().ask, crl=pem(crl))
    supply = case.supply()
    await supply.begin()
    assert supply.crls() == (crl,)
    assert case.told == ["changed"]


async def test_a_first_reading_that_fails_is_tried_again(case: Case) -> None:
    case.store(ark=authority().ark, ask=authority().ask, crl=pem(revoking()))
    case.api.fail_next(Unreachable("no answer", status=0), path=config_maps(NAMESPACE))
    supply = case.supply()
    await supply.begin()
    assert len(supply.crls()) == 1


async def test_life_goes_on_where_nothing_can_be_read(case: Case) -> None:
    for _ in range(FIRST_READINGS):
        case.api.fail_next(Unreachable("no answer", status=0), path=config_maps(NAMESPACE))
    supply = case.supply()
    await supply.begin()
    assert supply.crls() == ()
    assert len(case.slept) == FIRST_READINGS


def test_the_first_reading_ends_before_the_kubelet_loses_patience() -> None:
    """No probe is answered before it has ended, however long the API server hangs."""
    path = Path(__file__).parents[2] / "deploy/workloads/operator.yaml"
    bodies = yaml.safe_load_all(path.read_text())
    (pod,) = (each["spec"]["template"]["spec"] for each in bodies if each["kind"] == "Deployment")
    probe = pod["containers"][0]["livenessProbe"]
    # The first probe may come at once; the process takes a few seconds itself.
    patience = probe["periodSeconds"] * (probe["failureThreshold"] - 1)
    assert patience >= FIRST_SECONDS + 5


async def test_a_round_tells_of_new_lists_once(case: Case) -> None:
    supply = case.supply()
    await supply.begin()
    case.store(ark=authority().ark, ask=authority().ask, crl=pem(revoking()))
    await supply.upkeep()
    await supply.upkeep()
    assert case.told == ["changed"]


async def test_a_genuine_report_brings_its_chain_and_then_its_list(case: Case) -> None:
    kds = KeyService(authority().issue_crl(NOW))
    supply = case.supply(kds)
    async with fetching(supply), asyncio.timeout(10):
        supply.note(claims())
        for _ in range(2):
            await supply.pause(60)
            await supply.upkeep()
        await supply.pause(60)
    assert [type(each) for each in kds.asked] == [CAName, CRLName]
    assert len(supply.crls()) == 1
    assert case.told == ["changed"]


async def test_what_is_known_already_wakes_nobody(case: Case) -> None:
    supply = case.supply()
    supply.note(claims())
    await supply.pause(60)
    supply.note(claims())
    async with asyncio.timeout(5):
        await supply.pause(0)
    assert not supply._wake.is_set()


async def test_without_network_a_node_is_told_to_wait_for_a_person(case: Case) -> None:
    supply = case.supply()
    assert supply.fetcher is None
    report = machine().attest(bytes(64))
    waiting = supply.fetch(report, "node-uid", NOW + timedelta(minutes=5), MISSING)
    assert waiting is not None
    assert "the network is off" in waiting.message


async def test_the_queue_can_be_watched(case: Case) -> None:
    supply = case.supply(KeyService(b""))
    supply.fetch(machine().attest(bytes(64)), "node-uid", None, MISSING)
    assert case.metrics.registry.get_sample_value("nodeproof_kds_queue_depth") == 1


async def test_what_is_of_no_use_is_counted(case: Case) -> None:
    case.store(rubbish=b"no certificate")
    supply = case.supply()
    await supply.begin()
    assert case.metrics.registry.get_sample_value("nodeproof_endorsements_ignored") == 1
    assert supply.known(b"no report").certificates == ()


async def test_requests_are_counted(case: Case) -> None:
    supply = case.supply(KeyService(b""))
    async with fetching(supply), asyncio.timeout(10):
        supply.note(claims())
        await supply.pause(60)
        await supply.upkeep()
        await supply.pause(60)
    accepted = {"result": "Accepted"}
    assert case.metrics.registry.get_sample_value("nodeproof_kds_requests_total", accepted) == 1
