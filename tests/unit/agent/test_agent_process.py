from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nodeproof.protocol import CHALLENGES_PATH, EVIDENCE_PATH
from nodeproof_agent import __main__ as command
from nodeproof_agent.settings import Address, Settings, Simulated
from unit.agent.agent_standins import FakeOperator, FakeProvider


@pytest.fixture
def settings(operator: FakeOperator, token_file: Path, ca_file: Path) -> Settings:
    return Settings(
        operator_url=operator.url,
        token_file=token_file,
        ca_file=ca_file,
        provider=Simulated(Path("/nowhere")),
        metrics_address=Address("127.0.0.1", 0),
        log_format="text",
        log_level="info",
    )


@pytest.fixture
async def agent(
    settings: Settings, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[asyncio.Task[None]]:
    monkeypatch.setattr(command, "choose", lambda _: provider)
    task = asyncio.create_task(command.run(settings))
    yield task
    task.cancel()
    await asyncio.wait({task})
    for each in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(each)


async def test_sigterm_stops_it_between_rounds(
    agent: asyncio.Task[None], operator: FakeOperator
) -> None:
    await operator.reached(2)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        await agent


async def test_sigterm_stops_it_while_firmware_blocks(
    agent: asyncio.Task[None], operator: FakeOperator, provider: FakeProvider
) -> None:
    gate = threading.Event()
    provider.before = lambda: gate.wait(60)
    assert await asyncio.to_thread(provider.begun.wait, 20)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        await agent
    assert operator.paths == [CHALLENGES_PATH]
    gate.set()


async def test_sighup_attests_now(agent: asyncio.Task[None], operator: FakeOperator) -> None:
    await operator.reached(2)
    os.kill(os.getpid(), signal.SIGHUP)
    await operator.reached(4)
    assert operator.paths == [CHALLENGES_PATH, EVIDENCE_PATH] * 2
    assert not agent.done()


def test_holds_in_memory_only_what_an_agent_on_hardware_needs() -> None:
    program = (
        "import sys, nodeproof_agent.__main__\n"
        "from nodeproof_agent.providers import configfs_tsm, sev_guest\n"
        "heavy = ('kubernetes', 'kopf', 'cryptography', 'nodeproof.sevsnp', "
        "'nodeproof_agent.doctor')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    found = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"
