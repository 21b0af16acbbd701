from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cases import endorsing
from cases.asking import NAMESPACE, Case, claims_of
from cases.evidence import vlek_evidence
from cases.held import (
    DAY,
    HOUR,
    MILAN_CA,
    MILAN_CRL,
    ca,
    name_of,
    node,
)
from fakes.simulated import NOW, authority
from nodeproof.sevsnp.bundle import LABEL
from nodeproof.sevsnp.crl import load_crl
from nodeproof.sevsnp.kds import VCEKName
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator.encoding import encode_tcb
from nodeproof.sevsnp.tcb import TCBVersion
from nodeproof.sevsnp.verify import verify
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.cluster.objects import config_map, config_maps
from nodeproof_operator.endorsements.upkeep import is_due


@pytest.fixture
def case() -> Case:
    return Case()


NEWER = TCBVersion(fmc=None, bootloader=9, tee=9, snp=99, microcode=250)
PREPARED: dict[str, Any] = dict.fromkeys(
    ("committed_tcb", "current_tcb"), encode_tcb(NEWER, Product.MILAN)
)


def test_the_firmware_that_is_committed_is_prepared_for(case: Case) -> None:
    case.with_chain().source.note(claims_of(**PREPARED))
    assert case.line.asked == [(VCEKName(Product.MILAN, name_of().hw_id, NEWER), None)]


def test_firmware_is_prepared_for_only_once_there_is_a_chain(case: Case) -> None:
    case.source.note(claims_of(**PREPARED))
    assert case.line.asked == []


def test_nothing_is_prepared_that_is_held_already(case: Case) -> None:
    processor = node().processor
    vcek = authority().issue_vcek(processor.vcek_key.public_key(), processor.chip_id, NEWER, NOW)
    case.holdings.learn([vcek, *ca()])
    case.source.note(claims_of(**PREPARED))
    assert case.line.asked == []


def test_nothing_is_prepared_where_all_firmware_is_reported(case: Case) -> None:
    case.with_chain().source.note(claims_of())
    assert case.line.asked == []


def test_nothing_is_prepared_under_a_vlek(case: Case) -> None:
    given = vlek_evidence(**PREPARED)
    case.holdings.learn(given.certificates[1:])
    claims = verify(
        given.report, given.certificates, anchors=given.anchors, now=given.at, report_data=None
    )
    case.source.note(claims)
    assert case.line.asked == []


def test_preparing_needs_a_network() -> None:
    case = Case(network=False)
    case.with_chain().source.note(claims_of(**PREPARED))
    assert case.line.asked == []


async def test_upkeep_asks_for_nothing_before_something_was_seen(case: Case) -> None:
    await case.source.upkeep()
    assert case.line.asked == []


async def test_upkeep_asks_for_chain_and_list_of_what_was_seen(case: Case) -> None:
    case.source.note(claims_of())
    await case.source.upkeep()
    case.with_chain()
    await case.source.upkeep()
    assert case.line.asked == [(MILAN_CA, None), (MILAN_CRL, None)]


async def test_upkeep_asks_for_a_list_no_more_often_than_due(case: Case) -> None:
    case.source.note(claims_of())
    case.with_chain().holdings.accept(MILAN_CRL, authority().issue_crl(NOW))
    await case.source.upkeep()
    assert case.line.asked == []
    case.clock.now += DAY
    await case.source.upkeep()
    assert case.line.names == [MILAN_CRL]
    case.holdings.accept(MILAN_CRL, authority().issue_crl(NOW))
    await case.source.upkeep()
    assert case.line.names == [MILAN_CRL]


async def test_upkeep_does_not_ask_for_what_another_replica_has_fetched(case: Case) -> None:
    case.with_chain().holdings.accept(MILAN_CRL, authority().issue_crl(NOW))
    await case.source.upkeep()
    other = Case()
    other.api.objects = case.api.objects
    other.source.note(claims_of())
    await other.source.upkeep()
    assert other.line.asked == []


async def test_upkeep_asks_soon_although_a_list_was_stored_before_the_start(case: Case) -> None:
    """Else whoever starts anew every day would hear of no newer one for months."""
    case.with_chain().holdings.accept(MILAN_CRL, authority().issue_crl(NOW))
    await case.source.upkeep()
    restarted = Case()
    restarted.api.objects = case.api.objects
    restarted.source.note(claims_of())
    await restarted.source.upkeep()
    restarted.clock.now += HOUR
    await restarted.source.upkeep()
    assert restarted.line.names == [MILAN_CRL]


async def test_upkeep_asks_although_somebody_has_imported_a_list(case: Case) -> None:
    """Nobody says beside which chain it was handed out, or how old it was then."""
    case.holdings.learn([*ca(), authority().issue_crl(NOW)])
    case.source.note(claims_of())
    await case.source.upkeep()
    assert case.line.names == [MILAN_CRL]


async def test_upkeep_asks_for_nothing_when_the_network_is_off() -> None:
    case = Case(network=False)
    case.source.note(claims_of())
    await case.source.upkeep()
    assert case.line.asked == []


async def test_upkeep_reads_what_was_imported(case: Case) -> None:
    data = {"chain": endorsing.chain(authority()).decode()}
    body = {"metadata": {"labels": {LABEL: "true"}}, "data": data}
    case.api.put(config_map(NAMESPACE, "imported"), body)
    await case.source.upkeep()
    assert case.holdings.has(MILAN_CA)


async def test_upkeep_goes_on_while_the_api_server_is_away(case: Case) -> None:
    case.source.note(claims_of())
    case.with_chain()
    case.api.fail_next(Unreachable("away", status=0), times=9)
    await case.source.upkeep()
    assert case.line.names == [MILAN_CRL]


async def test_upkeep_saves_although_it_cannot_read(case: Case) -> None:
    case.with_chain()
    away = Unreachable("away", status=0)
    case.api.fail_next(away, method="GET", path=f"{config_maps(NAMESPACE)}", times=1)
    await case.source.upkeep()
    assert case.api.sent("PATCH")


@pytest.mark.parametrize(
    ("age", "since_confirmed", "due"),
    [
        (DAY, None, True),
        (DAY, DAY - HOUR / 60, False),
        (DAY, DAY, True),
        (20 * DAY, HOUR, False),
        (23 * DAY, HOUR / 2, False),
        (23 * DAY, HOUR, True),
        (99 * DAY, HOUR, True),
    ],
)
def test_a_list_is_due(age: timedelta, since_confirmed: timedelta | None, due: bool) -> None:  # noqa: FBT001 - a table's column
    """A simulated list lives 45 days from the day before it was made."""
    crl = load_crl(authority().issue_crl(NOW + DAY))
    now = NOW + age
    confirmed = None if since_confirmed is None else now - since_confirmed
    assert is_due(crl, confirmed, now) is due


def test_a_list_that_is_not_there_is_due() -> None:
    assert is_due(None, NOW, NOW)
