from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fakes.blocking_time import BlockingTime
from nodeproof_agent.providers.pacing import INTERVAL_SECONDS, PATIENCE_SECONDS, Pacing


@pytest.fixture
def clock() -> BlockingTime:
    return BlockingTime()


@pytest.fixture
def pacing(tmp_path: Path, clock: BlockingTime) -> Pacing:
    return Pacing(tmp_path, clock=clock, sleep=clock.sleep)


@pytest.fixture
def rival(tmp_path: Path, clock: BlockingTime) -> Pacing:
    return Pacing(tmp_path, clock=clock, sleep=clock.sleep)


def test_the_first_request_waits_for_nothing(pacing: Pacing, clock: BlockingTime) -> None:
    with pacing.turn() as alone:
        assert alone
    assert clock.slept == []


def test_the_next_request_comes_two_seconds_after_the_last(
    pacing: Pacing, clock: BlockingTime
) -> None:
    with pacing.turn():
        clock.now += 60
    ended = clock.now
    clock.now += 0.5
    with pacing.turn():
        assert clock.now == ended + INTERVAL_SECONDS


def test_a_request_that_failed_counts_as_one(pacing: Pacing, clock: BlockingTime) -> None:
    with pytest.raises(ZeroDivisionError), pacing.turn():
        raise ZeroDivisionError
    with pacing.turn():
        assert clock.slept == [INTERVAL_SECONDS]


def test_a_late_request_waits_for_nothing(pacing: Pacing, clock: BlockingTime) -> None:
    with pacing.turn():
        pass
    clock.now += 300
    with pacing.turn():
        assert clock.slept == []


def test_only_one_holds_the_lock(pacing: Pacing, rival: Pacing) -> None:
    with pacing.turn() as alone, rival.turn() as also_alone:
        assert (alone, also_alone) == (True, False)


def test_the_lock_is_free_again_after_a_failure(pacing: Pacing, rival: Pacing) -> None:
    with pytest.raises(ZeroDivisionError), pacing.turn():
        raise ZeroDivisionError
    with rival.turn() as alone:
        assert alone


def test_waits_for_another_one_and_then_an_interval(
    pacing: Pacing, tmp_path: Path, clock: BlockingTime
) -> None:
    holding = pacing.turn()
    holding.__enter__()

    def sleep(seconds: float) -> None:
        if not clock.slept:
            holding.__exit__(None, None, None)
        clock.sleep(seconds)

    with Pacing(tmp_path, clock=clock, sleep=sleep).turn() as alone:
        assert alone
        assert clock.slept[1:] == [pytest.approx(INTERVAL_SECONDS)]


def test_does_not_wait_for_ever_and_says_so(
    pacing: Pacing, rival: Pacing, clock: BlockingTime
) -> None:
    with pacing.turn(), capture_logs() as logs, rival.lock() as alone:
        assert not alone
    assert sum(clock.slept) == pytest.approx(PATIENCE_SECONDS, abs=0.2)
    assert "lock" in logs[0]["event"]


def test_the_lock_alone_is_no_request(pacing: Pacing, clock: BlockingTime) -> None:
    with pacing.lock():
        pass
    with pacing.turn():
        assert clock.slept == []


def test_an_interface_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Pacing(tmp_path / "none").turn():
        pytest.fail("there is nothing to lock")
