"""An agent that ends is started again, later each time."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from nodeproof_dev import agent_process
from nodeproof_dev.agent_process import AgentProcess
from nodeproof_dev.interfaces import Simulator
from nodeproof_dev.volumes import AgentVolumes


class Volumes:
    token_file = Path("/pod/token")
    ca_file = Path("/pod/ca.crt")


class DeadChild:
    """A process that ends as soon as it is started."""

    starts: list[list[str]]
    running = False

    def __init__(self, _name: str, command: list[str], *_: object) -> None:
        self._command = command

    def start(self) -> None:
        self.starts.append(self._command)

    def stop(self, _seconds: float) -> None:
        """Be gone."""


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    DeadChild.starts = []
    monkeypatch.setattr(agent_process, "Child", DeadChild)
    return DeadChild.starts


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def agent(clock: Clock) -> AgentProcess:
    volumes = cast("AgentVolumes", Volumes())
    return AgentProcess(Simulator(Path("/machine")), volumes, Path("/log"), clock)


def test_an_agent_is_told_where_everything_is(starts: list[list[str]]) -> None:
    agent(Clock()).ensure_running("https://operator:1")
    assert {
        "--operator-url=https://operator:1",
        "--token-file=/pod/token",
        "--ca-file=/pod/ca.crt",
        "--provider=simulated",
        "--simulated-machine=/machine",
    } < set(starts[0])


def test_an_agent_that_ends_is_held_back_longer_each_time(starts: list[list[str]]) -> None:
    clock = Clock()
    process = agent(clock)
    counts = []
    for clock.now in (100.0, 100.4, 100.5, 101.4, 101.5):
        process.ensure_running("https://operator:1")
        counts.append(len(starts))
    assert counts == [1, 1, 2, 2, 3]


def test_an_agent_that_was_stopped_starts_at_once(starts: list[list[str]]) -> None:
    process = agent(Clock())
    process.ensure_running("https://operator:1")
    process.stop()
    process.ensure_running("https://operator:1")
    assert len(starts) == 2
