from __future__ import annotations

import asyncio

import pytest

from fakes.virtual_time import settle
from nodeproof_operator.endorsements.errors import (
    Throttled,
)
from nodeproof_operator.endorsements.fetcher import ACCEPTED
from nodeproof_operator.endorsements.pacing import BURST, REQUEST_SECONDS
from unit.endorsements.fetcher_bench import HOUR, MINUTE, Bench, ending, newcomer
from unit.endorsements.kds_standins import MILAN_CHAIN, MILAN_CRL, VCEK_BYTES, chip


async def test_what_is_wanted_is_fetched_and_kept(running: Bench) -> None:
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(1)
    assert running.kept == {chip(1): VCEK_BYTES}
    assert running.counted == {ACCEPTED: 1}
    assert running.fetcher.depth == 0


async def test_a_first_node_waits_for_nothing(running: Bench) -> None:
    for name in (MILAN_CHAIN, MILAN_CRL, chip(1)):
        running.fetcher.want(name, newcomer("a"))
    await running.time.advance(1)
    assert running.kds.names == [MILAN_CHAIN, MILAN_CRL, chip(1)]


async def test_something_wanted_while_nothing_waits_wakes_the_fetcher(running: Bench) -> None:
    await running.time.advance(HOUR)
    running.fetcher.want(chip(1), newcomer("a"))
    await settle()
    assert running.kds.names == [chip(1)]


async def test_one_request_for_a_hundred_nodes(running: Bench) -> None:
    for number in range(100):
        running.fetcher.want(chip(1), newcomer(number))
    await running.time.advance(HOUR)
    assert running.kds.names == [chip(1)]


async def test_what_is_on_its_way_is_not_asked_for_again(running: Bench) -> None:
    running.kds.open.clear()
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(MINUTE)
    running.fetcher.want(chip(1), newcomer("b"))
    running.kds.open.set()
    await running.time.advance(HOUR)
    assert running.kds.names == [chip(1)]


async def test_one_request_at_a_time(running: Bench) -> None:
    running.kds.open.clear()
    for number in range(3):
        running.fetcher.want(chip(number), newcomer(number))
    await running.time.advance(HOUR)
    assert len(running.kds.asked) == 1
    assert running.fetcher.depth == 3


async def test_an_hour_holds_no_more_requests_than_amd_allows(running: Bench) -> None:
    for number in range(1000):
        running.fetcher.want(chip(number), newcomer(number))
    await running.time.advance(HOUR)
    assert len(running.kds.asked) in range(int(HOUR / REQUEST_SECONDS), BURST + 361)
    assert min(running.gaps[BURST:]) == pytest.approx(REQUEST_SECONDS)


async def test_tells_when_to_come_again_by_the_place_in_the_line(bench: Bench) -> None:
    told = [bench.fetcher.want(chip(number), newcomer(number)) for number in range(1000)]
    assert told[0] == 6
    assert told[10] in range(100, 121)
    assert all(5 <= seconds <= 300 for seconds in told)
    assert len(set(told[100:])) > 20
    assert bench.fetcher.want(chip(5000), ending("a")) <= 6


async def test_who_must_wait_for_its_own_turn_is_told_so(running: Bench) -> None:
    for number in range(3):
        running.fetcher.want(chip(number), newcomer("a"))
        await running.time.advance(10 * MINUTE)
    running.fetcher.want(chip(3), newcomer("a"))
    await running.time.advance(1)
    assert running.fetcher.want(chip(4), newcomer("a")) > 200


async def test_a_line_that_is_full_lets_nobody_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeproof_operator.endorsements.lanes.MAX_NODES", 2)
    for number in range(2):
        bench.fetcher.want(chip(number), newcomer(number))
    assert bench.fetcher.want(chip(2), newcomer(2)) == 300
    assert bench.fetcher.depth == 2


@pytest.mark.parametrize("state", ["idle", "asking", "pausing", "waiting for a turn"])
async def test_a_fetcher_that_is_stopped_leaves_no_task_behind(bench: Bench, state: str) -> None:
    before = asyncio.all_tasks()
    async with bench.running():
        if state == "asking":
            bench.kds.open.clear()
        if state == "pausing":
            bench.fail(Throttled("too often"))
        if state != "idle":
            bench.fetcher.want(chip(1), newcomer("a"))
            await settle()
        if state == "waiting for a turn":
            bench.fetcher.want(chip(2), newcomer("a"))
            await settle()
    assert asyncio.all_tasks() == before


async def test_what_was_on_its_way_when_the_fetcher_was_stopped_is_not_lost(bench: Bench) -> None:
    bench.kds.open.clear()
    bench.fetcher.want(chip(1), newcomer("a"))
    async with bench.running():
        assert bench.kds.names == [chip(1)]
    bench.kds.open.set()
    async with bench.running():
        await bench.time.advance(MINUTE)
    assert bench.kept == {chip(1): VCEK_BYTES}
