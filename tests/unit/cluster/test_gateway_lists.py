from __future__ import annotations

import pytest

from fakes.fake_api import FakeApi, Request
from nodeproof_operator.cluster.errors import AnswerTooLarge, Unreachable
from nodeproof_operator.cluster.gateway import LABELLED_PAGE_SIZE, list_all, list_labelled
from nodeproof_operator.cluster.objects import NODES, config_map, config_maps, node

LABEL = "example.dev/wanted"


def fleet_of(count: int) -> FakeApi:
    api = FakeApi()
    for index in range(count):
        api.put(node(f"node-{index}"), {})
    return api


async def test_asks_for_smaller_pages_when_a_page_is_too_large() -> None:
    api = fleet_of(3)

    async def refuse_large_pages(request: Request) -> None:
        if int(request.query["limit"]) > 1:
            raise AnswerTooLarge("too large", status=0)

    api.before = refuse_large_pages
    assert len((await list_all(api, NODES)).items) == 3


async def test_gives_up_on_an_object_that_is_too_large_alone() -> None:
    api = fleet_of(1)
    api.fail_next(AnswerTooLarge("too large", status=0), times=99)
    with pytest.raises(AnswerTooLarge):
        await list_all(api, NODES)


async def test_returns_nothing_rather_than_a_part() -> None:
    api = fleet_of(2)
    api.page_size = 1

    async def fail_on_the_second_page(request: Request) -> None:
        if "continue" in request.query:
            raise Unreachable("gone", status=0)

    api.before = fail_on_the_second_page
    with pytest.raises(Unreachable):
        await list_all(api, NODES)


async def test_states_the_version_of_the_list() -> None:
    api = fleet_of(2)
    newest = api.read(node("node-1"))["metadata"]["resourceVersion"]
    assert (await list_all(api, NODES)).resource_version == newest


def labelled(count: int, value: str = "true") -> FakeApi:
    api = FakeApi()
    for index in range(count):
        path = config_map("system", f"map-{index:02}")
        api.put(path, {"metadata": {"labels": {LABEL: value}}})
    return api


async def names(api: FakeApi, most: int = 99) -> list[str]:
    found = list_labelled(api, config_maps("system"), LABEL, most=most)
    return [each["metadata"]["name"] async for each in found]


async def test_lists_what_has_the_label() -> None:
    api = labelled(1)
    api.put(config_map("system", "another"), {"metadata": {"labels": {LABEL: "false"}}})
    api.put(config_map("elsewhere", "map-00"), {"metadata": {"labels": {LABEL: "true"}}})
    assert await names(api) == ["map-00"]


async def test_lists_what_has_the_label_in_small_pages() -> None:
    api = labelled(2 * LABELLED_PAGE_SIZE + 1)
    assert len(await names(api)) == 2 * LABELLED_PAGE_SIZE + 1
    assert len(api.requests) == 3
    assert all(each.query["labelSelector"] == f"{LABEL}=true" for each in api.requests)


async def test_lists_no_more_than_it_was_asked_for() -> None:
    api = labelled(5 * LABELLED_PAGE_SIZE)
    assert await names(api, most=LABELLED_PAGE_SIZE + 1) == [
        f"map-{index:02}" for index in range(LABELLED_PAGE_SIZE + 1)
    ]
    assert len(api.requests) == 2
