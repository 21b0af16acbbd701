from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import Mapping
from random import Random

import pytest
from structlog.testing import capture_logs

from cases import endorsing
from cases.held import (
    HOUR,
    MILAN_CA,
    MILAN_CRL,
    Clock,
    ca,
    name_of,
    report_of,
    revoking,
    vcek_of,
)
from fakes.fake_api import FakeApi, Request
from fakes.simulated import NOW, authority, impostor
from fakes.virtual_time import settle
from nodeproof.sevsnp.bundle import LABEL
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.collateral import Item
from nodeproof.sevsnp.kds import CRLName
from nodeproof.sevsnp.products import Product
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.cluster.objects import config_map, endorsements
from nodeproof_operator.cluster.secrets import PreparedObjectMissing
from nodeproof_operator.endorsements import sieve
from nodeproof_operator.endorsements import store as module
from nodeproof_operator.endorsements.holdings import Holdings
from nodeproof_operator.endorsements.store import Store
from nodeproof_operator.endorsements.upkeep import HEARSAY

NAMESPACE = "system"
MILAN = config_map(NAMESPACE, endorsements(Product.MILAN))
LABELS = {LABEL: "true"}


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    for product in Product:
        api.put(config_map(NAMESPACE, endorsements(product)), {"metadata": {"labels": LABELS}})
    return api


class Replica:
    """One operator's holdings and store, on a cluster shared with others."""

    def __init__(self, api: FakeApi) -> None:
        self.clock = Clock()
        self.holdings = Holdings([authority().anchor()], self.clock)
        self.store = Store(api, NAMESPACE, self.holdings)

    def fetch(self, crl: bytes, name: CRLName = MILAN_CRL) -> None:
        self.holdings.accept(MILAN_CA, endorsing.chain(authority()))
        self.holdings.accept(name, crl)

    async def round(self) -> None:
        await self.store.refresh()
        await self.store.save()


@pytest.fixture
def replica(api: FakeApi) -> Replica:
    return Replica(api)


def put(
    api: FakeApi, *values: bytes, name: str = "imported", labels: Mapping[str, str] = LABELS
) -> None:
    """Store a ConfigMap with values under keys of no meaning."""
    data = {f"value-{i}": b64encode(each).decode() for i, each in enumerate(values)}
    api.put(config_map(NAMESPACE, name), {"metadata": {"labels": labels}, "binaryData": data})


async def test_reads_what_was_imported(api: FakeApi, replica: Replica) -> None:
    put(api, vcek_of(), *ca(), authority().issue_crl(NOW))
    await replica.store.refresh()
    assert replica.holdings.has(name_of())
    assert len(replica.holdings.crls()) == 1
    assert replica.store.ignored == 0


async def test_reads_text_as_well_as_bytes(api: FakeApi, replica: Replica) -> None:
    text = endorsing.pem(vcek_of(), *ca()).decode()
    api.put(config_map(NAMESPACE, "text"), {"metadata": {"labels": LABELS}, "data": {"any": text}})
    await replica.store.refresh()
    assert replica.holdings.has(name_of())


async def test_puts_together_what_lies_in_several_config_maps(
    api: FakeApi, replica: Replica
) -> None:
    for name, value in (("a", vcek_of()), ("b", ca()[0]), ("c", ca()[1])):
        put(api, value, name=name)
    await replica.store.refresh()
    assert replica.holdings.has(name_of())


async def test_does_not_look_at_config_maps_without_the_label(
    api: FakeApi, replica: Replica
) -> None:
    put(api, *ca(), labels={LABEL: "false"})
    await replica.store.refresh()
    assert replica.holdings.authorities(Product.MILAN) == ()
    assert replica.store.ignored == 0


@pytest.mark.parametrize("where", ["imported", endorsements(Product.MILAN)])
async def test_a_hostile_config_map_changes_nothing(
    api: FakeApi, replica: Replica, where: str
) -> None:
    put(api, *ca(), authority().issue_crl(NOW), name="genuine")
    await replica.store.refresh()
    before = (replica.holdings.certificates(report_of()), replica.holdings.crls())
    garbage = Random(1).randbytes(1024 * 1024)  # noqa: S311 - any bytes
    put(api, *ca(impostor()), impostor().issue_crl(NOW), garbage, b"", name=where)
    await replica.store.refresh()
    assert (replica.holdings.certificates(report_of()), replica.holdings.crls()) == before
    assert replica.store.ignored == 5


async def test_what_is_ignored_is_logged_once(api: FakeApi, replica: Replica) -> None:
    put(api, b"garbage")
    with capture_logs() as logs:
        await replica.store.refresh()
        await replica.store.refresh()
    assert [(each["config_map"], each["values"]) for each in logs] == [("imported", 1)]


async def test_what_is_mended_is_ignored_no_longer(api: FakeApi, replica: Replica) -> None:
    put(api, b"garbage")
    await replica.store.refresh()
    put(api, *ca())
    await replica.store.refresh()
    assert replica.store.ignored == 0


async def test_values_beyond_the_limit_are_ignored(
    api: FakeApi, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_VALUES", 2)
    put(api, *ca(), vcek_of(), authority().issue_crl(NOW))
    await replica.store.refresh()
    assert not replica.holdings.has(name_of())
    assert replica.store.ignored == 2


async def test_characters_beyond_the_limit_are_ignored(
    api: FakeApi, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(api, *ca(), name="a")
    put(api, vcek_of(), name="b")
    held = sum(len(each) for each in api.read(config_map(NAMESPACE, "a"))["binaryData"].values())
    monkeypatch.setattr(module, "MAX_CHARACTERS", held)
    await replica.store.refresh()
    assert replica.holdings.has(MILAN_CA)
    assert not replica.holdings.has(name_of())
    assert replica.store.ignored == 1


async def test_what_is_beyond_the_limits_costs_nothing(
    api: FakeApi, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def decode(text: str) -> bytes:
        decoded.append(text)
        return b""

    monkeypatch.setattr(module, "MAX_VALUES", 2)
    monkeypatch.setattr(module, "b64decode", decode)
    put(api, *(b"tiny" for _ in range(1000)), name="a")
    put(api, *(b"tiny" for _ in range(1000)), name="b")
    await replica.store.refresh()
    assert len(decoded) == 2
    assert replica.store.ignored == 2000


async def test_config_maps_beyond_the_limit_are_ignored(api: FakeApi, replica: Replica) -> None:
    for each in range(module.MAX_CONFIG_MAPS):
        put(api, name=f"a-{each:02}")
    put(api, *ca(), name="b")
    await replica.store.refresh()
    assert replica.holdings.authorities(Product.MILAN) == ()
    assert replica.store.ignored == 1


async def test_what_is_taken_away_stays_known(api: FakeApi, replica: Replica) -> None:
    """Whoever deletes a ConfigMap cannot bring a revoked signer back."""
    put(api, *ca(), revoking())
    await replica.store.refresh()
    api.remove(config_map(NAMESPACE, "imported"))
    await replica.store.refresh()
    (known,) = replica.holdings.lists(Product.MILAN)
    assert known.crl.serials


async def test_the_event_loop_goes_on_while_values_are_judged(
    api: FakeApi, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_on = threading.Event()
    waited: list[bool] = []

    def judge(_: bytes) -> tuple[Item, ...]:
        waited.append(gone_on.wait(10))
        return ()

    monkeypatch.setattr(sieve, "classify", judge)
    put(api, b"value")
    reading = asyncio.create_task(replica.store.refresh())
    await settle()
    gone_on.set()
    await reading
    assert waited == [True]


async def test_an_api_server_that_is_away_takes_nothing(api: FakeApi, replica: Replica) -> None:
    put(api, *ca())
    await replica.store.refresh()
    api.fail_next(Unreachable("away", status=0))
    with pytest.raises(Unreachable):
        await replica.store.refresh()
    assert len(replica.holdings.authorities(Product.MILAN)) == 2


async def test_saves_what_was_fetched_for_others(api: FakeApi, replica: Replica) -> None:
    replica.fetch(authority().issue_crl(NOW))
    await replica.round()
    other = Replica(api)
    await other.store.refresh()
    assert other.holdings.has(MILAN_CA)
    assert other.holdings.crl(MILAN_CRL) is not None
    assert other.holdings.confirmed(MILAN_CRL) == NOW - HEARSAY
    assert other.store.ignored == 0


async def test_saves_beside_which_chain_a_list_was_handed_out(
    api: FakeApi, replica: Replica
) -> None:
    name = CRLName(Product.MILAN, Role.ASVK)
    replica.fetch(authority().issue_crl(NOW), name)
    await replica.round()
    other = Replica(api)
    await other.store.refresh()
    assert other.holdings.crl(name) is not None
    assert other.holdings.crl(MILAN_CRL) is None


async def test_saves_readable_text_and_no_veks(api: FakeApi, replica: Replica) -> None:
    replica.fetch(authority().issue_crl(NOW))
    replica.holdings.accept(name_of(), vcek_of())
    await replica.round()
    kinds = sorted(key.rpartition("-")[0] for key in api.read(MILAN)["data"])
    assert kinds == ["ark", "ask", "crl-ask"]
    assert all(each.startswith("-----BEGIN ") for each in api.read(MILAN)["data"].values())


async def test_saves_a_list_that_revokes_for_ever(api: FakeApi, replica: Replica) -> None:
    replica.fetch(revoking())
    replica.fetch(authority().issue_crl(NOW + HOUR))
    await replica.round()
    other = Replica(api)
    other.clock.now += 100 * 24 * HOUR
    await other.store.refresh()
    assert any(each.crl.serials for each in other.holdings.lists(Product.MILAN))


async def test_saves_a_list_that_revokes_whoever_brought_it(api: FakeApi, replica: Replica) -> None:
    put(api, *ca(), revoking())
    await replica.store.refresh()
    replica.clock.now += HOUR
    replica.fetch(authority().issue_crl(NOW + HOUR))
    await replica.store.save()
    api.remove(config_map(NAMESPACE, "imported"))
    other = Replica(api)
    await other.store.refresh()
    assert any(each.crl.serials for each in other.holdings.lists(Product.MILAN))


async def test_saves_nothing_that_has_not_changed(api: FakeApi, replica: Replica) -> None:
    replica.fetch(authority().issue_crl(NOW))
    await replica.round()
    await replica.round()
    assert len(api.sent("PATCH")) == 1


async def test_saves_nothing_that_was_not_fetched(api: FakeApi, replica: Replica) -> None:
    put(api, *ca(), authority().issue_crl(NOW))
    await replica.round()
    assert api.sent("PATCH") == []


async def test_replaces_what_others_have_put_into_its_own(api: FakeApi, replica: Replica) -> None:
    api.put(MILAN, {"metadata": {"labels": LABELS}, "data": {"odd": "thing"}})
    replica.fetch(authority().issue_crl(NOW))
    await replica.round()
    assert "odd" not in api.read(MILAN)["data"]


async def test_a_conflict_loses_nothing_that_the_other_wrote(
    api: FakeApi, replica: Replica
) -> None:
    other = Replica(api)
    newer = authority().issue_crl(NOW + HOUR)
    other.clock.now += HOUR
    other.fetch(newer)
    replica.fetch(revoking())
    replica.clock.now += HOUR

    async def write_first(request: Request) -> None:
        if request.method == "PATCH":
            api.before = None
            await other.store.save()

    api.before = write_first
    await replica.store.save()
    fresh = Replica(api)
    fresh.clock.now += HOUR
    await fresh.store.refresh()
    assert [bool(each.crl.serials) for each in fresh.holdings.lists(Product.MILAN)] == [
        False,
        True,
    ]


async def test_two_replicas_come_to_rest(api: FakeApi, replica: Replica) -> None:
    other = Replica(api)
    replica.fetch(authority().issue_crl(NOW), CRLName(Product.MILAN, Role.ASVK))
    other.fetch(authority().issue_crl(NOW))
    for _ in range(3):
        await replica.round()
        await other.round()
    written = len(api.sent("PATCH"))
    await replica.round()
    await other.round()
    assert len(api.sent("PATCH")) == written


async def test_a_missing_config_map_says_what_to_apply(api: FakeApi, replica: Replica) -> None:
    api.remove(MILAN)
    replica.fetch(authority().issue_crl(NOW))
    with pytest.raises(PreparedObjectMissing, match=r"deploy/objects\.yaml"):
        await replica.store.save()
