from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from nodeproof.errors import IdentityMismatch
from nodeproof.protocol import CHALLENGES_PATH, EvidenceReceipt, Refusal
from nodeproof.unavailability import CAUSES, Cause
from nodeproof_agent.errors import REASONS, OperatorRefused, OperatorUnreachable
from nodeproof_agent.loop import ROUND_SECONDS, AttestationLoop, Clock
from nodeproof_agent.metrics import LAST_SUCCESS, ROUND_DURATION, ROUNDS, Metrics
from nodeproof_agent.round import Round
from unit.agent.agent_standins import (
    INTERVAL,
    NO_DEVICE,
    Authority,
    FakeOperator,
    FakeTime,
    HighestRandom,
    receipt,
    refuse,
    token_of,
)

DOWN = OperatorUnreachable("down")
UNIX_TIME = 1_800_000_000.0


def refused(reason: str, retry_after: float | None = None) -> OperatorRefused:
    return OperatorRefused(429, Refusal(reason=reason, message="x" * 1000), retry_after)


@dataclass
class Script:
    """Rounds with outcomes written beforehand; the last one goes on."""

    outcomes: list[EvidenceReceipt | Exception]
    rounds: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def attest(self) -> EvidenceReceipt:
        outcome = self.outcomes[min(self.rounds, len(self.outcomes) - 1)]
        self.rounds += 1
        self.begun.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class World:
    """A loop with everything around it injected."""

    def __init__(self, fake_time: FakeTime, *outcomes: EvidenceReceipt | Exception) -> None:
        self.time = fake_time
        self.script = Script(list(outcomes))
        self.metrics = Metrics(provider="fake")
        self.loop = loop_over(self.script.attest, self.metrics, fake_time)

    def sample(self, name: str, **labels: str) -> float | None:
        return sample(self.metrics, name, **labels)


def loop_over(attest: object, metrics: Metrics, fake_time: FakeTime) -> AttestationLoop:
    return AttestationLoop(
        attest,  # type: ignore[arg-type]  # a bound coroutine method
        metrics,
        HighestRandom(),
        Clock(timestamp=lambda: UNIX_TIME, monotonic=fake_time, sleep=fake_time.sleep),
    )


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for each in family.samples:
            if each.name == name and each.labels == labels:
                return float(each.value)
    return None


@asynccontextmanager
async def running(loop: AttestationLoop) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_attests_at_once_and_then_when_the_operator_says(fake_time: FakeTime) -> None:
    world = World(fake_time, receipt(next_seconds=42.5))
    async with running(world.loop):
        assert await fake_time.pass_by() == 42.5
        assert world.script.rounds == 1
        assert await fake_time.pass_by() == 42.5
        assert world.script.rounds == 2


@pytest.mark.parametrize(
    ("said", "waited"), [(0.0, 1.0), (-5.0, 1.0), (1e300, 86_400.0), (float("inf"), 86_400.0)]
)
async def test_bounds_the_interval(fake_time: FakeTime, said: float, waited: float) -> None:
    async with running(World(fake_time, receipt(next_seconds=said)).loop):
        assert await fake_time.pass_by() == waited


async def test_backs_off_up_to_a_minute(fake_time: FakeTime) -> None:
    async with running(World(fake_time, DOWN).loop):
        waits = [await fake_time.pass_by() for _ in range(8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


async def test_success_ends_the_backoff(fake_time: FakeTime) -> None:
    async with running(World(fake_time, DOWN, DOWN, receipt(), DOWN).loop):
        waits = [await fake_time.pass_by() for _ in range(4)]
    assert waits == [1.0, 2.0, INTERVAL, 1.0]


async def test_comes_no_earlier_than_the_operator_asked(fake_time: FakeTime) -> None:
    async with running(World(fake_time, refused("Overloaded", 30)).loop):
        assert await fake_time.pass_by() == 30 + 1.0


async def test_no_operator_silences_an_agent_for_long(fake_time: FakeTime) -> None:
    async with running(World(fake_time, refused("Overloaded", 1e9)).loop):
        assert await fake_time.pass_by() == 600 + 1.0


async def test_attests_now_when_asked(fake_time: FakeTime) -> None:
    world = World(fake_time, receipt())
    async with running(world.loop):
        await fake_time.asked.get()
        world.script.begun.clear()
        world.loop.attest_now()
        await world.script.begun.wait()
    assert world.script.rounds == 2
    assert fake_time.now == 1000.0


async def test_one_wish_is_one_round(fake_time: FakeTime) -> None:
    world = World(fake_time, receipt())
    async with running(world.loop):
        await fake_time.asked.get()
        world.loop.attest_now()
        await fake_time.asked.get()
        for _ in range(20):
            await asyncio.sleep(0)
    assert world.script.rounds == 2


async def test_a_wish_during_a_round_is_not_lost(fake_time: FakeTime) -> None:
    asked = asyncio.Event()
    rounds = 0

    async def attest() -> EvidenceReceipt:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            loop.attest_now()
        else:
            asked.set()
        return receipt()

    loop = loop_over(attest, Metrics(provider="fake"), fake_time)
    async with running(loop):
        await asked.wait()
    assert fake_time.now == 1000.0


async def test_counts_a_success_and_when_it_was(fake_time: FakeTime) -> None:
    world = World(fake_time, receipt())
    assert world.sample(LAST_SUCCESS) == 0
    async with running(world.loop):
        await fake_time.asked.get()
    assert world.sample(ROUNDS, result="success", reason="") == 1
    assert world.sample(LAST_SUCCESS) == UNIX_TIME
    assert world.sample(f"{ROUND_DURATION}_count", result="success") == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NO_DEVICE, "NoPlatform"),
        (DOWN, "OperatorUnreachable"),
        (IdentityMismatch("not ours"), "IdentityMismatch"),
        (refused("TokenRejected"), "TokenRejected"),
        (refused("A word of a later release"), "OperatorRefused"),
        (KeyError("our own fault"), "InternalError"),
    ],
)
async def test_counts_a_failure_by_a_reason_of_the_closed_set(
    fake_time: FakeTime, error: Exception, reason: str
) -> None:
    world = World(fake_time, error)
    async with running(world.loop):
        await fake_time.asked.get()
    assert reason in REASONS
    assert world.sample(ROUNDS, result="failure", reason=reason) == 1
    assert world.sample(LAST_SUCCESS) == 0


async def test_logs_why_a_round_failed(fake_time: FakeTime) -> None:
    with capture_logs() as logs:
        async with running(World(fake_time, NO_DEVICE).loop):
            await fake_time.asked.get()
    assert logs == [
        {
            "event": "attestation failed",
            "log_level": "warning",
            "reason": "NoPlatform",
            "message": "there is no device",
            "expected": "/dev/sev-guest",
            "remedy": CAUSES[Cause.NO_PLATFORM].remedy,
            "failures": 1,
            "next_seconds": 1.0,
        }
    ]


async def test_cuts_the_words_of_an_operator(fake_time: FakeTime) -> None:
    with capture_logs() as logs:
        async with running(World(fake_time, refused("y" * 1000)).loop):
            await fake_time.asked.get()
    assert logs[0]["message"] == "x" * 200
    assert logs[0]["refused_for"] == "y" * 200


async def test_is_not_alive_before_it_runs(fake_time: FakeTime) -> None:
    assert not World(fake_time, receipt()).loop.health().alive


async def test_is_alive_while_it_only_fails(fake_time: FakeTime) -> None:
    world = World(fake_time, DOWN)
    async with running(world.loop):
        await fake_time.pass_by()
        await fake_time.asked.get()
        health = world.loop.health()
    assert health.alive
    assert (health.last_reason, health.failures) == ("OperatorUnreachable", 2)


async def test_forgets_the_failure_after_a_success(fake_time: FakeTime) -> None:
    world = World(fake_time, DOWN, receipt())
    async with running(world.loop):
        await fake_time.pass_by()
        await fake_time.asked.get()
        health = world.loop.health()
    assert (health.last_reason, health.failures) == ("", 0)


async def test_is_not_alive_when_it_overslept(fake_time: FakeTime) -> None:
    world = World(fake_time, receipt())
    async with running(world.loop):
        await fake_time.asked.get()
        fake_time.now += INTERVAL + 60
        assert not world.loop.health().alive


async def test_is_not_alive_when_a_round_never_ends(fake_time: FakeTime) -> None:
    async def never() -> EvidenceReceipt:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    begun = asyncio.Event()
    loop = loop_over(never, Metrics(provider="fake"), fake_time)
    async with running(loop):
        await begun.wait()
        assert loop.health().alive
        fake_time.now += ROUND_SECONDS + 1
        assert not loop.health().alive


async def test_cancelling_ends_it(fake_time: FakeTime) -> None:
    async with running(World(fake_time, receipt()).loop) as task:
        await fake_time.asked.get()
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled()


async def test_comes_back_when_the_operator_does(
    one_round: Round,
    operator: FakeOperator,
    authority: Authority,
    tmp_path: Path,
    fake_time: FakeTime,
) -> None:
    metrics = Metrics(provider="fake")
    await operator.stop()
    async with running(loop_over(one_round.attest, metrics, fake_time)):
        assert await fake_time.asked.get() == 1.0
        await operator.start(authority.server_context(tmp_path))
        fake_time.release()
        assert await fake_time.asked.get() == INTERVAL
    assert sample(metrics, ROUNDS, result="failure", reason="OperatorUnreachable") == 1
    assert sample(metrics, ROUNDS, result="success", reason="") == 1


async def test_honours_retry_after_of_a_real_answer(
    one_round: Round, operator: FakeOperator, fake_time: FakeTime
) -> None:
    operator.once(CHALLENGES_PATH, refuse(503, "Overloaded", header="17"))
    async with running(loop_over(one_round.attest, Metrics(provider="fake"), fake_time)):
        assert await fake_time.pass_by() == 17 + 1.0
        assert await fake_time.pass_by() == INTERVAL


async def test_never_logs_a_token(
    one_round: Round, operator: FakeOperator, fake_time: FakeTime
) -> None:
    operator.once(CHALLENGES_PATH, refuse(401, "TokenRejected"))
    with capture_logs() as logs:
        async with running(loop_over(one_round.attest, Metrics(provider="fake"), fake_time)):
            await fake_time.pass_by()
            await fake_time.asked.get()
    assert len(logs) == 2
    assert not any(part in str(logs) for part in token_of().split("."))
