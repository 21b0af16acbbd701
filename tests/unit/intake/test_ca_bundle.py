"""What is published to agents while the CA changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from fakes.fake_api import FakeApi
from fakes.intake import AGENTS
from nodeproof_operator.cluster.objects import CA_BUNDLE, config_map
from nodeproof_operator.cluster.secrets import SealedStore
from nodeproof_operator.intake.ca_bundle import KEPT, MOST_KEPT, SETTLED, CABundle, pem
from nodeproof_operator.intake.serving import CA_LIFE, make_ca

CONFIG_MAP = config_map(AGENTS, CA_BUNDLE)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
OLD, NEW = (make_ca(NOW).certificate for _ in range(2))
MOMENT = timedelta(seconds=1)


class Replica:
    """One replica's bundle, and its clock."""

    def __init__(self, api: FakeApi) -> None:
        self.now = NOW
        self.bundle = CABundle(SealedStore(api, AGENTS), lambda: self.now)


@pytest.fixture
def one(api: FakeApi) -> Replica:
    return Replica(api)


@pytest.fixture
def other(api: FakeApi) -> Replica:
    return Replica(api)


def published(api: FakeApi) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(api.read(CONFIG_MAP)["data"]["ca.crt"].encode())


async def test_a_first_ca_is_published_alone(api: FakeApi, one: Replica) -> None:
    await one.bundle.publish([OLD])
    assert published(api) == [OLD]


async def test_a_new_ca_comes_first_and_the_old_one_stays(api: FakeApi, one: Replica) -> None:
    await one.bundle.publish([OLD])
    await one.bundle.publish([NEW])
    assert published(api) == [NEW, OLD]


async def test_the_old_ca_stays_for_an_hour_and_no_longer(api: FakeApi, one: Replica) -> None:
    await one.bundle.publish([OLD])
    await one.bundle.publish([NEW])
    one.now += KEPT - MOMENT
    await one.bundle.publish([NEW])
    assert published(api) == [NEW, OLD]
    one.now += MOMENT
    await one.bundle.publish([NEW])
    assert published(api) == [NEW]


async def test_a_replica_that_is_behind_does_not_take_the_new_ca_away(
    api: FakeApi, one: Replica, other: Replica
) -> None:
    await other.bundle.publish([OLD])
    await one.bundle.publish([NEW])
    await other.bundle.publish([OLD])
    assert set(published(api)) == {OLD, NEW}


async def test_a_replica_that_was_restarted_keeps_what_it_finds(
    api: FakeApi, one: Replica, other: Replica
) -> None:
    await one.bundle.publish([OLD])
    await other.bundle.publish([NEW])
    assert set(published(api)) == {OLD, NEW}


async def test_nothing_is_written_while_nothing_changes(api: FakeApi, one: Replica) -> None:
    await one.bundle.publish([OLD])
    await one.bundle.publish([NEW])
    written = len(api.sent("PATCH"))
    one.now += MOMENT
    await one.bundle.publish([NEW])
    assert len(api.sent("PATCH")) == written


async def test_a_ca_that_has_ended_is_not_kept(api: FakeApi, one: Replica) -> None:
    await one.bundle.publish([OLD])
    one.now += CA_LIFE + MOMENT
    await one.bundle.publish([NEW])
    assert published(api) == [NEW]


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
async def test_what_is_no_certificate_is_not_kept(api: FakeApi, one: Replica, text: str) -> None:
    api.put(CONFIG_MAP, {"data": {"ca.crt": text, "more": "x"}})
    await one.bundle.publish([OLD])
    assert api.read(CONFIG_MAP)["data"] == {"ca.crt": pem(OLD).decode()}


async def test_a_bundle_that_others_fill_does_not_grow_for_ever(api: FakeApi, one: Replica) -> None:
    many = [make_ca(NOW).certificate for _ in range(MOST_KEPT + 3)]
    api.put(CONFIG_MAP, {"data": {"ca.crt": pem(*many).decode()}})
    await one.bundle.publish([OLD])
    assert published(api) == [OLD, *many[:MOST_KEPT]]


async def test_a_ca_is_settled_once_every_agent_has_it(one: Replica) -> None:
    assert not one.bundle.settled([OLD])
    await one.bundle.publish([OLD])
    assert not one.bundle.settled([OLD])
    one.now += SETTLED
    await one.bundle.publish([OLD])
    assert one.bundle.settled([OLD])
    assert not one.bundle.settled([OLD, NEW])
