from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from nodeproof.errors import Overloaded, SignatureInvalid
from nodeproof_operator.intake.verification import VerificationPool


@pytest.fixture
def seconds() -> list[float]:
    return []


@pytest.fixture
def pool(seconds: list[float]) -> Iterator[VerificationPool]:
    ticks = iter(range(100))
    made = VerificationPool(seconds.append, workers=1, waiting=1, clock=lambda: float(next(ticks)))
    yield made
    made.close()


async def test_returns_what_the_verification_returns(pool: VerificationPool) -> None:
    assert await pool.run(lambda: 7) == 7


async def test_raises_what_the_verification_raises(pool: VerificationPool) -> None:
    def refuse() -> None:
        raise SignatureInvalid("no")

    with pytest.raises(SignatureInvalid):
        await pool.run(refuse)


async def test_runs_off_the_event_loop(pool: VerificationPool) -> None:
    assert await pool.run(threading.get_ident) != threading.get_ident()


async def test_tells_how_long_a_verification_took(
    pool: VerificationPool, seconds: list[float]
) -> None:
    await pool.run(lambda: 7)
    assert seconds == [1.0]


async def test_sends_away_what_does_not_fit_in_the_line(pool: VerificationPool) -> None:
    gate = threading.Event()
    running = [asyncio.create_task(pool.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        await pool.run(lambda: 7)
    gate.set()
    assert await asyncio.gather(*running) == [True, True]
    assert caught.value.retry_after_seconds == 2


async def test_a_place_is_free_again_after_its_verification(pool: VerificationPool) -> None:
    for number in range(10):
        assert await pool.run(lambda number=number: number) == number  # type: ignore[misc] # default


async def test_a_caller_that_goes_away_leaves_its_place_in_the_line(pool: VerificationPool) -> None:
    gate = threading.Event()
    running, waiting = [asyncio.create_task(pool.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    late = asyncio.create_task(pool.run(lambda: 7))
    gate.set()
    assert (await running, await late) == (True, 7)
