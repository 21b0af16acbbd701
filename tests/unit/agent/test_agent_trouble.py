"""Bad days: each ends in a clear log line, a metric with its reason, and without a restart.

The rounds are real, over real HTTPS; platform, operator and time are stand-ins.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from nodeproof.protocol import CHALLENGES_PATH, EVIDENCE_PATH
from nodeproof.unavailability import CAUSES, Cause
from nodeproof_agent.loop import HASTY_FAILURES, AttestationLoop, Clock
from nodeproof_agent.metrics import Metrics
from nodeproof_agent.providers.worker import Platform
from nodeproof_agent.round import Round
from unit.agent.agent_standins import (
    INTERVAL,
    Authority,
    FakeOperator,
    FakeProvider,
    FakeTime,
    HighestRandom,
    no_device,
    overwrite,
    refuse,
    token_of,
)

HOUR = 3600.0
PASSING = sorted(each for each in Cause if not CAUSES[each].lasting)
LASTING = sorted(each for each in Cause if CAUSES[each].lasting)


@dataclass
class WallClock:
    """The time of day, which anybody may set."""

    seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Agent:
    """A whole agent, once its first round is asked for."""

    loop: AttestationLoop
    time: FakeTime
    metrics: Metrics
    logs: list[EventDict]
    running: asyncio.Task[None] | None = None

    async def next_round(self) -> float:
        """Let the time until the next round pass; return how long the agent waits after it."""
        if self.running is None:
            self.running = asyncio.create_task(self.loop.run())
        else:
            self.time.release()
        async with asyncio.timeout(20):
            return await self.time.asked.get()

    async def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.wait({self.running})

    def count(self, result: str, reason: str) -> float:
        """Return how many rounds ended so."""
        series = f'nodeproof_agent_rounds_total{{reason="{reason}",result="{result}"}} '
        lines = self.metrics.exposition().decode().splitlines()
        return sum(float(each.removeprefix(series)) for each in lines if each.startswith(series))

    def failures(self) -> list[EventDict]:
        """Return the lines on failed rounds."""
        return [each for each in self.logs if each["event"] == "attestation failed"]

    def check_failed(self, reason: str, rounds: int = 1) -> EventDict:
        """Check that so many rounds, all of them, failed for this reason; return the last line."""
        assert [each["reason"] for each in self.failures()] == [reason] * rounds
        assert self.count("failure", reason) == rounds
        return self.failures()[-1]

    async def check_recovers(self) -> None:
        """Check that the next round succeeds, and the schedule is the usual one again."""
        assert await self.next_round() == INTERVAL
        assert self.logs[-1]["event"] == "evidence accepted"
        assert self.count("success", "") == 1


def remove(path: Path) -> None:
    path.unlink()


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def wall_clock() -> WallClock:
    return WallClock()


@pytest.fixture
def patience() -> float:
    """Seconds that the platform is waited for."""
    return 20.0


@pytest.fixture
async def agent(
    one_round: Round,
    provider: FakeProvider,
    patience: float,
    fake_time: FakeTime,
    wall_clock: WallClock,
    logs: list[EventDict],
) -> AsyncIterator[Agent]:
    metrics = Metrics(provider="fake")
    clock = Clock(timestamp=wall_clock, monotonic=fake_time, sleep=fake_time.sleep)
    platform = Platform(provider, patience_seconds=patience)
    attest = replace(one_round, platform=platform).attest
    loop = AttestationLoop(attest, metrics, HighestRandom(), clock)
    started = Agent(loop, fake_time, metrics, logs)
    yield started
    await started.stop()


@pytest.mark.parametrize("cause", Cause)
async def test_a_platform_that_gives_no_evidence_for_a_while(
    agent: Agent, provider: FakeProvider, operator: FakeOperator, cause: Cause
) -> None:
    provider.fault = no_device(cause)
    await agent.next_round()
    line = agent.check_failed(cause)
    assert line["message"] == "there is no device"
    assert line["remedy"] == CAUSES[cause].remedy
    assert [each.cause for each in operator.excuses] == [cause]
    provider.fault = None
    await agent.check_recovers()


@pytest.mark.parametrize("cause", PASSING)
async def test_firmware_that_is_busy_is_asked_again_within_a_minute(
    agent: Agent, provider: FakeProvider, cause: Cause
) -> None:
    provider.fault = no_device(cause)
    waits = [await agent.next_round() for _ in range(10)]
    assert max(waits) == 60.0


@pytest.mark.parametrize("cause", LASTING)
async def test_a_lost_key_is_looked_for_hastily_first_and_then_as_rarely_as_evidence_is_made(
    agent: Agent, provider: FakeProvider, cause: Cause
) -> None:
    provider.fault = no_device(cause)
    waits = [await agent.next_round() for _ in range(10)]
    assert waits[:HASTY_FAILURES] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    assert waits[HASTY_FAILURES:] == [INTERVAL + 60.0] * 4
    provider.fault = None
    await agent.check_recovers()


@pytest.mark.parametrize("patience", [0.01])
async def test_a_throttled_firmware_that_answers_too_late(
    agent: Agent, provider: FakeProvider, operator: FakeOperator
) -> None:
    gate, answered = threading.Event(), threading.Event()

    def answer_late() -> None:
        gate.wait(20)
        answered.set()

    provider.before = answer_late
    await agent.next_round()
    await agent.next_round()
    agent.check_failed("TimedOut", rounds=2)
    assert [each.cause for each in operator.excuses] == ["TimedOut"] * 2
    assert len(provider.asked) == 1
    gate.set()
    assert await asyncio.to_thread(answered.wait, 20)
    provider.before = lambda: None
    for _ in range(200):  # the thread has answered, but may not have ended yet
        await agent.next_round()
        if agent.count("success", ""):
            break
    assert agent.logs[-1]["event"] == "evidence accepted"


async def test_an_operator_that_is_down_for_an_hour(
    agent: Agent, operator: FakeOperator, authority: Authority, tmp_path: Path
) -> None:
    await operator.stop()
    end = agent.time.now + HOUR
    waits = [await agent.next_round()]
    while agent.time.now < end:
        waits.append(await agent.next_round())
    assert max(waits) == 60.0
    line = agent.check_failed("OperatorUnreachable", rounds=len(waits))
    assert "Connect call failed" in line["observed"]
    await operator.start(authority.server_context(tmp_path))
    await agent.check_recovers()


async def test_a_wrong_ca(
    agent: Agent,
    ca_file: Path,
    authority: Authority,
    other_authority: Authority,
    operator: FakeOperator,
) -> None:
    overwrite(ca_file, other_authority.pem)
    await agent.next_round()
    line = agent.check_failed("OperatorUntrusted")
    assert "unable to get local issuer" in line["observed"]
    assert operator.tokens == []
    overwrite(ca_file, authority.pem)
    await agent.check_recovers()


async def test_a_ca_bundle_that_is_not_there_yet(
    agent: Agent, ca_file: Path, authority: Authority
) -> None:
    remove(ca_file)
    await agent.next_round()
    assert "No such file" in agent.check_failed("CABundleUnusable")["observed"]
    overwrite(ca_file, authority.pem)
    await agent.check_recovers()


async def test_an_expired_token(agent: Agent, operator: FakeOperator, token_file: Path) -> None:
    operator.once(CHALLENGES_PATH, refuse(401, "TokenRejected"), refuse(401, "TokenRejected"))
    await agent.next_round()
    await agent.next_round()
    assert agent.check_failed("TokenRejected", rounds=2)["message"] == "it is refused"
    renewed = token_of(signature="bmV3")
    overwrite(token_file, renewed)
    await agent.check_recovers()
    assert operator.tokens[-1] == (EVIDENCE_PATH, renewed)


async def test_a_token_that_is_not_there_yet(agent: Agent, token_file: Path) -> None:
    remove(token_file)
    await agent.next_round()
    assert agent.check_failed("TokenUnusable")["message"] == "the token file cannot be read"
    overwrite(token_file, token_of())
    await agent.check_recovers()


async def test_a_clock_that_jumps_beyond_the_operators_certificate(
    agent: Agent, operator: FakeOperator, authority: Authority, tmp_path: Path
) -> None:
    await operator.stop()
    await operator.start(authority.server_context(tmp_path, ends=-timedelta(minutes=1)))
    await agent.next_round()
    assert "expired" in agent.check_failed("OperatorUntrusted")["observed"]
    await operator.stop()
    await operator.start(authority.server_context(tmp_path))
    await agent.check_recovers()


async def test_a_machine_that_was_paused_while_it_held_a_challenge(
    agent: Agent, operator: FakeOperator
) -> None:
    operator.once(EVIDENCE_PATH, refuse(410, "ChallengeExpired"))
    await agent.next_round()
    agent.check_failed("ChallengeExpired")
    await agent.check_recovers()


@pytest.mark.parametrize("jump", [-1e9, 1e9])
async def test_a_wall_clock_that_jumps_changes_nothing(
    agent: Agent, wall_clock: WallClock, jump: float
) -> None:
    assert await agent.next_round() == INTERVAL
    wall_clock.seconds += jump
    assert await agent.next_round() == INTERVAL
    assert agent.failures() == []


async def test_the_operator_that_cannot_be_told_either(
    agent: Agent, operator: FakeOperator, provider: FakeProvider
) -> None:
    operator.once("/v1/unavailable", refuse(503, "Overloaded", header="17"))
    provider.fault = no_device(Cause.FIRMWARE_BUSY)
    assert await agent.next_round() == 17 + 1.0
    agent.check_failed("FirmwareBusy")
    assert agent.logs[0]["event"] == "the operator could not be told why there is no evidence"
    assert agent.logs[0]["reason"] == "Overloaded"
    provider.fault = None
    await agent.check_recovers()
