from __future__ import annotations

import pytest

from nodeproof.errors import NotTheAgent, TokenRejected
from nodeproof_operator.intake.admission import (
    MAX_REFUSED_TOKENS,
    REFUSED_TOKEN_SECONDS,
    Rate,
    RateLimiter,
    RefusedTokens,
)
from nodeproof_operator.intake.errors import RateLimited


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


def limiter(clock: Stopwatch, *, callers: int = 10) -> RateLimiter:
    return RateLimiter(Rate(per_second=0.5, burst=2, callers=callers), clock)


def test_admits_a_burst_and_no_more(stopwatch: Stopwatch) -> None:
    buckets = limiter(stopwatch)
    buckets.admit("a")
    buckets.admit("a")
    with pytest.raises(RateLimited):
        buckets.admit("a")


def test_tells_when_the_next_request_will_be_admitted(stopwatch: Stopwatch) -> None:
    buckets = limiter(stopwatch)
    buckets.admit("a")
    buckets.admit("a")
    with pytest.raises(RateLimited) as caught:
        buckets.admit("a")
    stopwatch.seconds += caught.value.retry_after_seconds
    buckets.admit("a")
    assert caught.value.retry_after_seconds == 2


def test_one_caller_does_not_use_up_what_another_may_ask(stopwatch: Stopwatch) -> None:
    buckets = limiter(stopwatch)
    buckets.admit("a")
    buckets.admit("a")
    buckets.admit("b")


def test_a_long_silence_earns_no_more_than_a_burst(stopwatch: Stopwatch) -> None:
    buckets = limiter(stopwatch)
    buckets.admit("a")
    stopwatch.seconds += 3600
    buckets.admit("a")
    buckets.admit("a")
    with pytest.raises(RateLimited):
        buckets.admit("a")


def test_remembers_a_bounded_number_of_callers(stopwatch: Stopwatch) -> None:
    buckets = limiter(stopwatch, callers=3)
    for number in range(100):
        buckets.admit(str(number))
    assert len(buckets._buckets) == 3


def test_forgets_the_caller_that_was_silent_longest(stopwatch: Stopwatch) -> None:
    buckets = limiter(stopwatch, callers=2)
    for caller in ("a", "a", "b", "c"):
        buckets.admit(caller)
    buckets.admit("a")  # its bucket was forgotten, so it is full again
    buckets.admit("c")
    with pytest.raises(RateLimited):
        buckets.admit("c")


def test_repeats_a_refusal_without_asking(stopwatch: Stopwatch) -> None:
    refused = RefusedTokens(stopwatch)
    refused.remember(b"digest", NotTheAgent("another one", expected="agent", observed="default"))
    with pytest.raises(NotTheAgent) as caught:
        refused.check(b"digest")
    assert (caught.value.message, caught.value.expected, caught.value.observed) == (
        "another one",
        "agent",
        "default",
    )


def test_another_token_is_not_refused(stopwatch: Stopwatch) -> None:
    refused = RefusedTokens(stopwatch)
    refused.remember(b"digest", TokenRejected("no"))
    refused.check(b"other")


def test_forgets_a_refusal_in_time(stopwatch: Stopwatch) -> None:
    refused = RefusedTokens(stopwatch)
    refused.remember(b"digest", TokenRejected("no"))
    stopwatch.seconds += REFUSED_TOKEN_SECONDS
    refused.check(b"digest")


def test_remembers_a_bounded_number_of_refusals(stopwatch: Stopwatch) -> None:
    refused = RefusedTokens(stopwatch)
    for number in range(MAX_REFUSED_TOKENS + 10):
        refused.remember(number.to_bytes(4), TokenRejected("no"))
    refused.check((0).to_bytes(4))
    assert len(refused._refused) == MAX_REFUSED_TOKENS
