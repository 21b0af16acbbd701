from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof_operator.endorsements.pacing import (
    BURST,
    FIRST_BACKOFF_SECONDS,
    LAST_BACKOFF_SECONDS,
    REQUEST_SECONDS,
    GrowingPauses,
    Pace,
)

HOUR = 3600.0


class Hand:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def pace(hand: Hand) -> Pace:
    return Pace(hand, Random(1))  # noqa: S311 - spreads retries only


def take_all(pace: Pace) -> int:
    """Take what may be taken now and return how many."""
    taken = 0
    while not pace.wait_seconds():
        pace.take()
        taken += 1
    return taken


def test_a_burst_may_be_taken_at_once(pace: Pace) -> None:
    assert take_all(pace) == BURST
    assert pace.wait_seconds() == REQUEST_SECONDS


def test_after_a_burst_one_comes_in_ten_seconds(pace: Pace, hand: Hand) -> None:
    take_all(pace)
    hand.now += 9.9
    assert take_all(pace) == 0
    hand.now += 0.1
    assert take_all(pace) == 1


def test_quiet_earns_no_more_than_a_burst(pace: Pace, hand: Hand) -> None:
    take_all(pace)
    hand.now += 24 * HOUR
    assert take_all(pace) == BURST


@given(steps=st.lists(st.floats(0, 100), max_size=100))
def test_any_stretch_of_time_holds_no_more_than_its_share(steps: list[float]) -> None:
    hand = Hand()
    pace = Pace(hand, Random(1))  # noqa: S311 - spreads retries only
    taken = []
    for step in steps:
        hand.now += step
        taken += [hand.now] * take_all(pace)
    for start, first in enumerate(taken):
        for more, last in enumerate(taken[start:], start=1):
            assert more <= BURST + (last - first) / REQUEST_SECONDS + 1e-6


@pytest.mark.parametrize(
    ("asked", "waited"), [(0.0, REQUEST_SECONDS), (60.0, 60.0), (HOUR, HOUR), (1e9, HOUR)]
)
def test_a_server_is_given_the_time_it_asks_for_up_to_an_hour(
    pace: Pace, asked: float, waited: float
) -> None:
    pace.failed(asked)
    assert pace.wait_seconds() == waited


def test_a_pause_earns_no_burst(pace: Pace, hand: Hand) -> None:
    pace.failed(HOUR)
    hand.now += HOUR
    assert take_all(pace) == 1


def test_a_pause_is_told_until_it_is_over(pace: Pace, hand: Hand) -> None:
    assert pace.paused_seconds() == 0
    pace.failed(60.0)
    assert pace.paused_seconds() == 60
    hand.now += 60
    assert pace.paused_seconds() == 0


@pytest.mark.parametrize("failures", range(1, 9))
def test_backoff_is_spread_over_a_range_that_doubles(failures: int, hand: Hand) -> None:
    pauses = []
    for seed in range(200):
        pace = Pace(hand, Random(seed))  # noqa: S311 - spreads retries only
        for _ in range(failures):
            pace.failed(None)
        pauses.append(pace.paused_seconds())
    longest = min(FIRST_BACKOFF_SECONDS * 2**failures, LAST_BACKOFF_SECONDS)
    assert min(pauses) >= FIRST_BACKOFF_SECONDS
    assert 0.95 * longest < max(pauses) <= longest
    assert len(set(pauses)) > 190


def test_backoff_never_gets_longer_than_a_quarter_of_an_hour(pace: Pace) -> None:
    for _ in range(5000):
        pace.failed(None)
    assert pace.paused_seconds() <= LAST_BACKOFF_SECONDS


def test_an_answer_ends_the_growing(pace: Pace) -> None:
    for _ in range(10):
        pace.failed(None)
    pace.answered()
    pace.failed(None)
    assert pace.paused_seconds() <= 2 * FIRST_BACKOFF_SECONDS


@pytest.fixture
def pauses(hand: Hand) -> GrowingPauses[str]:
    return GrowingPauses(10.0, 35.0, keys=3, clock=hand)


def test_a_key_without_a_pause_is_free(pauses: GrowingPauses[str]) -> None:
    assert pauses.until("a") == 0


def test_pauses_double_up_to_the_longest(pauses: GrowingPauses[str], hand: Hand) -> None:
    lengths = []
    for _ in range(5):
        end = pauses.grow("a")
        assert pauses.until("a") == end
        lengths.append(end - hand.now)
        hand.now = end
    assert lengths == [10, 20, 35, 35, 35]


def test_each_key_has_its_own_pause(pauses: GrowingPauses[str], hand: Hand) -> None:
    pauses.grow("a")
    pauses.grow("a")
    assert pauses.grow("b") == hand.now + 10


def test_a_key_begins_anew_after_long_quiet(pauses: GrowingPauses[str], hand: Hand) -> None:
    hand.now = pauses.grow("a") + 35.1
    assert pauses.grow("a") == hand.now + 10


def test_invented_keys_cost_bounded_memory(pauses: GrowingPauses[str]) -> None:
    for number in range(1000):
        pauses.grow(str(number))
    assert len(pauses) == 3
    assert pauses.until("999") > 0


def test_a_key_may_fail_for_ever(pauses: GrowingPauses[str], hand: Hand) -> None:
    for _ in range(5000):
        hand.now = pauses.grow("a")
    assert pauses.grow("a") == hand.now + 35
