from __future__ import annotations

from fakes.virtual_time import settle
from nodeproof_operator.endorsements.errors import (
    NotOffered,
)
from nodeproof_operator.endorsements.pacing import REQUEST_SECONDS
from unit.endorsements.fetcher_bench import HOUR, MINUTE, Bench, ending, newcomer
from unit.endorsements.kds_standins import MILAN_CHAIN, chip


async def test_a_thousand_new_chips_do_not_starve_a_node_whose_result_is_about_to_end(
    running: Bench,
) -> None:
    for number in range(1000):
        running.fetcher.want(chip(number), newcomer(number))
    await running.time.advance(MINUTE)
    running.fetcher.want(chip(5000), ending("a"))
    await running.time.advance(2 * REQUEST_SECONDS)
    assert chip(5000) in running.kept


async def test_newcomers_are_not_starved_by_results_about_to_end(running: Bench) -> None:
    for number in range(1000):
        running.fetcher.want(chip(number), ending(number))
    running.fetcher.want(chip(5000), newcomer("new"))
    await running.time.advance(2 * REQUEST_SECONDS)
    assert chip(5000) in running.kept


async def test_a_node_that_invents_chips_uses_up_only_its_own_turn(running: Bench) -> None:
    """It has a live result that ends before all others', and wishes for another chip each time."""
    running.fail(NotOffered("no such chip"), *(chip(number) for number in range(10_000, 20_000)))
    for number in range(100):
        running.fetcher.want(chip(number), ending(number, minutes=30))
    for second in range(1200):
        running.fetcher.want(chip(10_000 + second), ending("greedy", minutes=1))
        await running.time.advance(1)
    invented = running.counted["NotOffered"]
    assert len(running.kept) == 100
    assert invented <= 6


async def test_a_chip_with_many_firmwares_uses_up_only_its_own_turn(running: Bench) -> None:
    """The KDS signs whatever versions it is asked for: no try of this node ever fails."""
    for number in range(100):
        running.fetcher.want(chip(number), newcomer(number))
    for second in range(1200):
        running.fetcher.want(chip(10_000 + second), ending("greedy", minutes=1))
        await running.time.advance(1)
    assert all(chip(number) in running.kept for number in range(100))
    assert len(running.kept) <= 100 + 6


async def test_wishes_made_while_ones_request_is_on_its_way_bring_no_more_turns(
    running: Bench,
) -> None:
    running.kds.open.clear()
    for number in range(100):
        running.fetcher.want(chip(1000 + number), newcomer("greedy"))
        await running.time.advance(REQUEST_SECONDS)
        running.fetcher.want(chip(2000 + number), newcomer("greedy"))
        running.kds.open.set()
        await settle()
        running.kds.open.clear()
    assert len(running.kds.asked) < 10


async def test_an_old_wish_gives_way_to_the_new_firmwares(running: Bench) -> None:
    running.kds.open.clear()
    running.fetcher.want(MILAN_CHAIN, None)
    await settle()
    running.fetcher.want(chip(1), newcomer("a"))
    running.fetcher.want(chip(2), newcomer("a"))
    running.kds.open.set()
    await running.time.advance(HOUR)
    assert running.kds.names == [MILAN_CHAIN, chip(2)]
