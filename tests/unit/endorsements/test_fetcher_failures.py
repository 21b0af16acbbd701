from __future__ import annotations

import pytest

from nodeproof.sevsnp.kds import CollateralName
from nodeproof_operator.endorsements.errors import (
    AnswerTooLarge,
    KDSError,
    NotOffered,
    Throttled,
    Unavailable,
)
from nodeproof_operator.endorsements.fetcher import ACCEPTED
from nodeproof_operator.endorsements.pacing import LAST_BACKOFF_SECONDS, REQUEST_SECONDS
from unit.endorsements.fetcher_bench import HOUR, MINUTE, Bench, ending, newcomer
from unit.endorsements.kds_standins import MILAN_CRL, VCEK_BYTES, chip


async def test_a_404_is_not_asked_for_again_for_a_while(running: Bench) -> None:
    running.fail(NotOffered("no such chip"))
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(9 * MINUTE)
    assert running.fetcher.want(chip(1), newcomer("b")) in range(50, 61)
    assert running.fetcher.refused(chip(1))
    assert running.fetcher.depth == 0
    await running.time.advance(MINUTE)
    assert not running.fetcher.refused(chip(1))
    running.fetcher.want(chip(1), newcomer("b"))
    await running.time.advance(MINUTE)
    assert len(running.kds.asked) == 2


async def test_a_404_is_remembered_twice_as_long_each_time_up_to_six_hours(
    running: Bench,
) -> None:
    running.fail(NotOffered("no such chip"))
    for minute in range(36 * 60):
        running.fetcher.want(chip(1), newcomer(minute))
        await running.time.advance(MINUTE)
    assert [round(gap / HOUR, 1) for gap in running.gaps] == [
        0.2,
        0.3,
        0.7,
        1.3,
        2.7,
        5.3,
        6.0,
        6.0,
        6.0,
        6.0,
    ]


async def test_what_was_refused_for_hours_is_looked_for_again_by_callers_in_five_minutes(
    running: Bench,
) -> None:
    running.fail(NotOffered("no such chip"))
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(1)
    assert running.fetcher.want(chip(1), newcomer("a")) == 300


async def test_nothing_is_kept_that_does_not_verify(running: Bench) -> None:
    """A hostile mirror: TLS is as it should be, the certificate is not AMD's."""
    running.forged = {chip(1)}
    running.fetcher.want(chip(1), newcomer("a"))
    running.fetcher.want(chip(2), newcomer("b"))
    await running.time.advance(MINUTE)
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(MINUTE)
    assert running.kept == {chip(2): VCEK_BYTES}
    assert running.counted == {"ChainInvalid": 1, ACCEPTED: 1}
    assert running.kds.names == [chip(1), chip(2)]


async def test_an_answer_too_large_is_not_asked_for_again_for_a_while(running: Bench) -> None:
    running.fail(AnswerTooLarge("the answer is too large"), chip(1))
    for minute in range(9):
        running.fetcher.want(chip(1), newcomer(minute))
        await running.time.advance(MINUTE)
    assert running.counted == {"AnswerTooLarge": 1}


async def test_a_429_for_an_hour_silences_the_whole_client_for_an_hour(running: Bench) -> None:
    running.fail(Throttled("too often", retry_after_seconds=HOUR))
    for number in range(10):
        running.fetcher.want(chip(number), newcomer(number))
    await running.time.advance(1)
    running.mend()
    running.fetcher.want(MILAN_CRL, None)
    running.fetcher.want(chip(100), ending("urgent"))
    await running.time.advance(HOUR - 2)
    assert len(running.kds.asked) == 1
    await running.time.advance(1)
    assert len(running.kds.asked) == 2
    assert running.kds.times[1] - running.kds.times[0] == HOUR
    await running.time.advance(12 * REQUEST_SECONDS)
    assert len(running.kept) == 12


async def test_a_429_that_goes_on_is_never_asked_before_its_end(running: Bench) -> None:
    running.fail(Throttled("too often", retry_after_seconds=700.0))
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(5 * HOUR)
    assert set(running.gaps) == {700.0}
    assert running.fetcher.depth == 1


async def test_who_met_a_429_goes_first_after_it(running: Bench) -> None:
    running.fail(Throttled("too often", retry_after_seconds=REQUEST_SECONDS))
    running.fetcher.want(chip(1), ending("a"))
    running.fetcher.want(chip(2), newcomer("b"))
    await running.time.advance(1)
    running.mend()
    await running.time.advance(REQUEST_SECONDS)
    assert running.kds.names == [chip(1), chip(1)]


async def test_a_server_that_asks_for_a_year_is_asked_again_after_an_hour(running: Bench) -> None:
    running.fail(Throttled("too often", retry_after_seconds=365 * 24 * HOUR))
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(HOUR)
    assert len(running.kds.asked) == 2


async def test_who_is_told_to_come_again_by_a_429_comes_after_it(running: Bench) -> None:
    running.fail(Throttled("too often", retry_after_seconds=120.0))
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(1)
    assert running.fetcher.want(chip(2), newcomer("b")) in range(119, 180)


@pytest.mark.parametrize("error", [Unavailable("status 500"), Throttled("too often")])
async def test_failures_in_a_row_slow_down(running: Bench, error: KDSError) -> None:
    running.fail(error)
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(24 * HOUR)
    gaps = running.gaps
    assert min(gaps) >= REQUEST_SECONDS
    assert max(gaps[:2]) < MINUTE + 1
    assert max(gaps) <= LAST_BACKOFF_SECONDS
    assert sum(gaps[10:]) / len(gaps[10:]) > LAST_BACKOFF_SECONDS / 3


async def test_replicas_that_fail_together_do_not_come_back_together(bench: Bench) -> None:
    bench.fail(Unavailable("status 500"))
    second_tries = set()
    for seed in range(20):
        bench.fetcher = bench.fetcher_with(seed=seed)
        bench.kds.asked.clear()
        bench.fetcher.want(chip(1), None)
        bench.fetcher.want(chip(2), None)
        async with bench.running():
            await bench.time.advance(MINUTE)
        second_tries.add(bench.kds.times[1] - bench.kds.times[0])
    assert len(second_tries) > 15


async def test_a_service_that_recovers_is_used_at_its_usual_pace(running: Bench) -> None:
    running.fail(Unavailable("status 500"))
    for number in range(20):
        running.fetcher.want(chip(number), newcomer(number))
    await running.time.advance(6 * HOUR)
    running.mend()
    await running.time.advance(LAST_BACKOFF_SECONDS + 20 * REQUEST_SECONDS)
    assert len(running.kept) == 20


async def test_one_thing_that_the_service_fails_at_does_not_block_the_others(
    running: Bench,
) -> None:
    running.fail(Unavailable("status 500"), MILAN_CRL, chip(1))
    running.fetcher.want(MILAN_CRL, None)
    running.fetcher.want(chip(1), ending("a"))
    for number in range(100, 130):
        running.fetcher.want(chip(number), newcomer(number))
    await running.time.advance(HOUR / 4)
    assert len(running.kept) == 30
    assert running.fetcher.depth == 2


async def test_what_failed_is_fetched_when_the_service_is_back(running: Bench) -> None:
    running.fail(Unavailable("status 500"))
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(1)
    running.mend()
    await running.time.advance(MINUTE)
    assert running.kept == {chip(1): VCEK_BYTES}


async def test_trouble_of_the_service_refuses_nothing(running: Bench) -> None:
    running.fail(Unavailable("status 500"))
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(1)
    assert not running.fetcher.refused(chip(1))


async def test_tells_why_the_last_try_failed(running: Bench) -> None:
    running.fail(NotOffered("no such chip", observed="status 404"), chip(1))
    assert running.fetcher.trouble(chip(1)) == ""
    running.fetcher.want(chip(1), newcomer("a"))
    running.fetcher.want(chip(2), newcomer("b"))
    await running.time.advance(MINUTE)
    assert running.fetcher.trouble(chip(1)) == "no such chip (observed status 404)"
    assert running.fetcher.trouble(chip(2)) == ""


async def test_a_success_ends_the_trouble(running: Bench) -> None:
    running.fail(Unavailable("status 500"))
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(1)
    assert running.fetcher.trouble(chip(1)) == "status 500"
    running.mend()
    await running.time.advance(MINUTE)
    assert running.fetcher.trouble(chip(1)) == ""


async def test_tells_of_a_name_that_was_not_tried_why_nothing_is(running: Bench) -> None:
    running.fail(Throttled("too often", retry_after_seconds=HOUR))
    running.fetcher.want(chip(1), newcomer("a"))
    await running.time.advance(1)
    assert running.fetcher.trouble(chip(2)) == "too often"
    await running.time.advance(HOUR)
    running.mend()
    await running.time.advance(HOUR)
    assert running.fetcher.trouble(chip(2)) == ""


async def test_a_bug_of_ours_does_not_end_the_fetching(running: Bench) -> None:
    def respond(name: CollateralName) -> bytes:
        if name == chip(1):
            raise ZeroDivisionError
        return VCEK_BYTES

    running.kds.respond = respond
    running.fetcher.want(chip(1), newcomer("a"))
    running.fetcher.want(chip(2), newcomer("b"))
    await running.time.advance(MINUTE)
    assert running.kept == {chip(2): VCEK_BYTES}
    assert running.fetcher.trouble(chip(1)) == "ZeroDivisionError"


async def test_invented_names_cost_bounded_memory(
    running: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodeproof_operator.endorsements.fetcher.REMEMBERED", 10)
    running.fail(NotOffered("no such chip"))
    for number in range(50):
        running.fetcher.want(chip(number), newcomer(number))
    await running.time.advance(HOUR)
    assert running.counted["NotOffered"] == 50
    assert len(running.fetcher._troubles) == 10
