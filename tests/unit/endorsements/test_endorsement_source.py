from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import endorsing
from cases.asking import DEADLINE, MISSING, NAMESPACE, NODE, Case
from cases.held import (
    MILAN_CA,
    another_ask,
    ca,
    name_of,
    node,
    record_of,
    report_of,
    revoking,
    vcek_of,
)
from fakes.simulated import NOW, authority, impostor
from fakes.virtual_time import VirtualTime
from nodeproof.errors import (
    EndorsementMismatch,
    SignatureInvalid,
)
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.kds import CAName, CollateralName
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.verify import verify
from nodeproof_operator.endorsements.errors import NotOffered
from nodeproof_operator.endorsements.fetcher import Demand, Fetcher
from nodeproof_operator.endorsements.source import (
    MAX_KNOWN,
    RETRY_SECONDS,
    Endorsements,
)
from nodeproof_operator.endorsements.store import Store

MISMATCH = EndorsementMismatch("another chip's VCEK")
VLEK: dict[str, Any] = {"chip_id": bytes(64), "key_info": 0b100}


@pytest.fixture
def case() -> Case:
    return Case()


def test_the_vek_of_stored_evidence_comes_first(case: Case) -> None:
    case.with_chain().holdings.accept(name_of(), vcek_of())
    case.records = [record_of(report_of(), (b"stored", b"ask"))]
    known = case.source.known(report_of()).certificates
    assert known == (b"stored", b"ask", vcek_of(), *known[3:])
    assert set(known[3:]) == set(ca())


def test_each_certificate_is_handed_out_once(case: Case) -> None:
    case.with_chain().holdings.accept(name_of(), vcek_of())
    case.records = [record_of(report_of(), node().processor.certificates)]
    assert case.source.known(report_of()).certificates == node().processor.certificates


def test_what_is_known_verifies_a_report_without_certificates(case: Case) -> None:
    case.with_chain().holdings.accept(name_of(), vcek_of())
    known = case.source.known(report_of())
    claims = verify(
        report_of(), known.certificates, anchors=endorsing.anchors(), now=NOW, report_data=None
    )
    assert claims.chain[0] == vcek_of()


def test_hands_out_a_bounded_number(case: Case) -> None:
    case.holdings.learn([vcek_of(), *ca(), *(another_ask(each) for each in range(1, 4))])
    case.records = [
        record_of(report_of(), tuple(b"%d %d" % (i, j) for j in range(3)), name=f"node-{i}")
        for i in range(9)
    ]
    assert len(case.source.known(report_of()).certificates) == MAX_KNOWN


def test_hands_out_all_lists_with_the_certificates(case: Case) -> None:
    crl = authority().issue_crl(NOW)
    case.holdings.learn([*ca(), crl])
    assert case.source.known(report_of()).crls == case.source.crls() == (crl,)


def test_the_revision_is_that_of_the_lists(case: Case) -> None:
    case.holdings.learn(ca())
    before = case.source.revision
    case.holdings.learn([revoking()])
    assert (before, case.source.revision) == (0, 1)


@given(st.binary(max_size=1300))
def test_knowing_nothing_raises_nothing(report: bytes) -> None:
    assert Case().source.known(report).certificates == ()


@given(st.binary(max_size=1300))
def test_fetching_for_no_report_raises_nothing(report: bytes) -> None:
    case = Case()
    assert case.wait(report or b"?").retry_after_seconds == RETRY_SECONDS
    assert case.line.asked == []


def test_asks_for_the_chain_before_the_vcek(case: Case) -> None:
    answer = case.wait()
    assert answer.retry_after_seconds == 42
    assert case.line.asked == [(MILAN_CA, None)]
    # A person who can bring the VCEK need not wait for the chain.
    assert answer.expected == f"{MILAN_CA}, {name_of()}"


def test_asks_for_the_vcek_in_the_nodes_name(case: Case) -> None:
    answer = case.with_chain().wait()
    assert case.line.asked == [(name_of(), Demand(NODE, DEADLINE))]
    assert answer.retry_after_seconds == 42
    assert answer.expected == str(name_of())
    assert answer.observed == MISSING.observed
    assert "is being asked" in answer.message


def test_says_what_the_key_service_last_said(case: Case) -> None:
    case.line.troubles[name_of()] = "no answer in 20 s"
    assert "no answer in 20 s" in case.with_chain().wait().message


def test_asks_for_nothing_that_is_held(case: Case) -> None:
    case.with_chain().holdings.accept(name_of(), vcek_of())
    assert case.wait().retry_after_seconds == RETRY_SECONDS
    assert case.line.asked == []


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (VLEK, "VLEK"),
        ({"chip_id": bytes(64)}, "names no chip"),
    ],
    ids=["VLEK", "masked chip"],
)
def test_says_what_nobody_can_ask_for(case: Case, report: dict[str, Any], why: str) -> None:
    case.holdings.accept(CAName(Product.MILAN, Role.ASVK), endorsing.chain(authority(), Role.ASVK))
    case.with_chain()
    answer = case.wait(report_of(**report))
    assert case.line.asked == []
    assert why in answer.message


def test_asks_for_the_chain_of_a_vlek(case: Case) -> None:
    case.wait(report_of(**VLEK))
    assert case.line.names == [CAName(Product.MILAN, Role.ASVK)]


def test_says_that_the_network_is_off() -> None:
    answer = Case(network=False).wait()
    assert answer.retry_after_seconds == RETRY_SECONDS
    assert "network is off" in answer.message
    assert "bundle" in answer.message


def test_a_vcek_that_does_not_fit_is_final_when_the_network_is_off() -> None:
    assert Case(network=False).with_chain().fetch(error=MISMATCH) is None


def test_a_vcek_that_does_not_fit_may_be_out_of_date(case: Case) -> None:
    case.with_chain().wait(error=MISMATCH)
    assert case.line.names == [name_of()]


def test_a_vcek_that_does_not_fit_is_final_when_the_right_one_is_held(case: Case) -> None:
    case.with_chain().holdings.accept(name_of(), vcek_of())
    assert case.fetch(error=MISMATCH) is None


def test_a_vcek_that_does_not_fit_is_final_when_there_is_no_other(case: Case) -> None:
    case.line.refusals.add(name_of())
    assert case.with_chain().fetch(error=MISMATCH) is None


def test_a_vcek_that_does_not_fit_is_not_final_while_the_key_service_is_away(case: Case) -> None:
    case.line.troubles[name_of()] = "no answer in 20 s"
    assert "no answer" in case.with_chain().wait(error=MISMATCH).message


@pytest.mark.parametrize("changes", [VLEK, {"chip_id": bytes(64)}], ids=["VLEK", "masked chip"])
def test_a_vek_that_does_not_fit_is_final_where_none_can_be_asked_for(
    case: Case, changes: dict[str, Any]
) -> None:
    assert case.fetch(report_of(**changes), MISMATCH) is None


def test_other_errors_are_final(case: Case) -> None:
    assert case.fetch(error=SignatureInvalid("forged")) is None
    assert case.line.asked == []


def test_asks_for_the_chains_of_all_products_that_may_have_made_an_old_report(case: Case) -> None:
    case.wait(report_of(version=2))
    assert case.line.names == [CAName(each, Role.ASK) for each in (Product.MILAN, Product.GENOA)]


def test_asks_for_an_old_reports_vcek_of_one_product_after_the_other(case: Case) -> None:
    report = report_of(version=2)
    for product in (Product.MILAN, Product.GENOA):
        case.holdings.accept(CAName(product, Role.ASK), endorsing.chain(authority(product)))
    genoa = replace(name_of(), product=Product.GENOA)
    case.wait(report)
    case.line.refusals.add(name_of())
    case.wait(report)
    assert case.line.names == [name_of(), genoa]
    case.line.refusals.add(genoa)
    assert case.fetch(report, MISMATCH) is None


def test_a_product_that_is_refused_does_not_keep_an_old_reports_node_waiting(case: Case) -> None:
    genoa = CAName(Product.GENOA, Role.ASK)
    case.line.refusals.add(genoa)
    case.line.waits[genoa] = 300
    assert case.wait(report_of(version=2)).retry_after_seconds == 42
    case.line.refusals.add(MILAN_CA)
    assert case.wait(report_of(version=2)).retry_after_seconds == 300


class Service:
    """AMD's key service, for all that is simulated and a few machines."""

    def __init__(self) -> None:
        self.offers = endorsing.offers(node())
        self.asked: list[CollateralName] = []

    async def get(self, name: CollateralName) -> bytes:
        self.asked.append(name)
        if name not in self.offers:
            raise NotOffered("there is no such thing")
        return self.offers[name]


@pytest.fixture
async def online() -> AsyncIterator[tuple[Endorsements, VirtualTime, Service]]:
    """Endorsements with the real queue before a stand-in for the service."""
    time, service, offline = VirtualTime(), Service(), Case(network=False)
    fetcher = Fetcher(
        service,
        offline.holdings.accept,
        clock=time.clock,
        sleep=time.sleep,
        random=Random(1),  # noqa: S311 - jitter
        count=lambda _: None,
    )
    source = Endorsements(
        offline.holdings,
        fetcher,
        dict,
        offline.clock,
        store=Store(offline.api, NAMESPACE, offline.holdings),
    )
    running = asyncio.create_task(fetcher.run())
    yield source, time, service
    running.cancel()


async def come_again(source: Endorsements, time: VirtualTime, report: bytes) -> None:
    answer = source.fetch(report, NODE, None, MISSING)
    assert answer is not None
    await time.advance(answer.retry_after_seconds)


async def test_a_node_that_comes_again_when_told_finds_its_certificates(
    online: tuple[Endorsements, VirtualTime, Service],
) -> None:
    source, time, service = online
    await come_again(source, time, report_of())
    await come_again(source, time, report_of())
    assert service.asked == [MILAN_CA, name_of()]
    assert set(source.known(report_of()).certificates) == {vcek_of(), *ca()}


async def test_a_chip_that_the_service_does_not_know_is_refused_in_the_end(
    online: tuple[Endorsements, VirtualTime, Service],
) -> None:
    source, time, _ = online
    stranger = report_of(seed=1)
    await come_again(source, time, stranger)
    await come_again(source, time, stranger)
    assert source.fetch(stranger, NODE, None, MISMATCH) is None


async def test_what_a_hostile_service_hands_out_is_not_kept(
    online: tuple[Endorsements, VirtualTime, Service],
) -> None:
    source, time, service = online
    service.offers = dict.fromkeys(service.offers, endorsing.chain(impostor()))
    await come_again(source, time, report_of())
    await come_again(source, time, report_of())
    assert source.known(report_of()).certificates == ()
