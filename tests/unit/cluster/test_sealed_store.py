from __future__ import annotations

import base64

import pytest

from fakes.fake_api import FakeApi, Request
from nodeproof_operator.cluster.errors import Conflict
from nodeproof_operator.cluster.objects import config_map, secret
from nodeproof_operator.cluster.secrets import PreparedObjectMissing, SealedStore

SECRET = secret("system", "keys")
CONFIG_MAP = config_map("system", "public")


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.put(SECRET, {"type": "Opaque", "metadata": {"labels": {"a": "b"}}})
    api.put(CONFIG_MAP, {})
    return api


@pytest.fixture
def store(api: FakeApi) -> SealedStore:
    return SealedStore(api, "system")


async def test_reads_a_secret_that_was_never_filled_as_empty(store: SealedStore) -> None:
    data, _ = await store.read("keys")
    assert data == {}


async def test_reads_what_was_filled_in(store: SealedStore) -> None:
    _, found = await store.read("keys")
    filled = await store.fill("keys", {"key": b"\x00\xff"}, found)
    assert await store.read("keys") == ({"key": b"\x00\xff"}, filled)


async def test_leaves_no_older_entries_behind(api: FakeApi, store: SealedStore) -> None:
    _, found = await store.read("keys")
    filled = await store.fill("keys", {"old": b"1"}, found)
    await store.fill("keys", {"new": b"2"}, filled)
    assert api.read(SECRET)["data"] == {"new": base64.b64encode(b"2").decode()}


async def test_changes_nothing_but_the_data(api: FakeApi, store: SealedStore) -> None:
    _, found = await store.read("keys")
    await store.fill("keys", {"key": b"1"}, found)
    stored = api.read(SECRET)
    assert (stored["type"], stored["metadata"]["labels"]) == ("Opaque", {"a": "b"})


async def test_lets_only_the_first_of_two_replicas_fill(store: SealedStore) -> None:
    _, found = await store.read("keys")
    await store.fill("keys", {"key": b"mine"}, found)
    with pytest.raises(Conflict):
        await store.fill("keys", {"key": b"yours"}, found)


async def test_publishes_exactly_what_it_is_given(api: FakeApi, store: SealedStore) -> None:
    await store.publish("public", {"old": "1"})
    await store.publish("public", {"new": "2"})
    assert api.read(CONFIG_MAP)["data"] == {"new": "2"}


async def test_sends_nothing_when_it_is_published_already(api: FakeApi, store: SealedStore) -> None:
    await store.publish("public", {"key": "1"})
    await store.publish("public", {"key": "1"})
    assert len(api.sent("PATCH")) == 1


async def test_publishes_after_another_writer(api: FakeApi, store: SealedStore) -> None:
    async def write_first(request: Request) -> None:
        if len(api.sent("PATCH")) == 1 and request.method == "PATCH":
            api.put(CONFIG_MAP, {"data": {"other": "x"}})

    api.before = write_first
    await store.publish("public", {"key": "1"})
    assert api.read(CONFIG_MAP)["data"] == {"key": "1"}


async def test_gives_up_publishing_against_a_constant_writer(
    api: FakeApi, store: SealedStore
) -> None:
    async def write_first(request: Request) -> None:
        if request.method == "PATCH":
            api.put(CONFIG_MAP, {"data": {"other": str(len(api.requests))}})

    api.before = write_first
    with pytest.raises(Conflict):
        await store.publish("public", {"key": "1"})


async def test_says_what_to_apply_when_the_secret_is_missing(store: SealedStore) -> None:
    with pytest.raises(PreparedObjectMissing, match=r"Secret system/other .* deploy/objects\.yaml"):
        await store.read("other")


async def test_says_what_to_apply_when_the_config_map_is_missing(store: SealedStore) -> None:
    with pytest.raises(PreparedObjectMissing, match="ConfigMap system/other"):
        await store.publish("other", {"key": "1"})


async def test_revises_what_is_there(api: FakeApi, store: SealedStore) -> None:
    await store.publish("public", {"a": "1"})
    await store.revise("public", lambda current: {**current, "b": "2"})
    assert api.read(CONFIG_MAP)["data"] == {"a": "1", "b": "2"}


async def test_revises_again_what_another_replica_has_written_meanwhile(
    api: FakeApi, store: SealedStore
) -> None:
    async def write_first(request: Request) -> None:
        if request.method == "PATCH":
            api.before = None
            await store.publish("public", {"theirs": "1"})

    api.before = write_first
    await store.revise("public", lambda current: {**current, "ours": "2"})
    assert api.read(CONFIG_MAP)["data"] == {"theirs": "1", "ours": "2"}


async def test_sends_nothing_where_there_is_nothing_to_revise(
    api: FakeApi, store: SealedStore
) -> None:
    await store.revise("public", lambda current: current)
    assert api.sent("PATCH") == []
