from __future__ import annotations

import pytest

from fakes.fake_api import FakeApi, Request
from nodeproof_operator.cluster.errors import AnswerTooLarge, Unreachable
from nodeproof_operator.cluster.gateway import list_all
from nodeproof_operator.cluster.objects import NODES, node


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
