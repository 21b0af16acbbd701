from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator.authority import SimulatedAuthority
from nodeproof.sevsnp.simulator.processor import SimulatedMachine, SimulatedProcessor
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers.selection import choose
from nodeproof_agent.providers.simulated import SimulatedProvider
from nodeproof_agent.providers.worker import Platform
from nodeproof_agent.settings import Simulated
from unit.agent.agent_standins import FakeOperator, token_of

DATA = bytes(range(64))

Start = Callable[[Path], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture(scope="session")
def machine() -> SimulatedMachine:
    now = datetime.now(UTC)
    authority = SimulatedAuthority.create(Product.MILAN, now)
    return SimulatedMachine.launch(SimulatedProcessor.create(authority, now=now))


@pytest.fixture
def directory(machine: SimulatedMachine, tmp_path: Path) -> Path:
    path = tmp_path / "machine"
    path.mkdir()
    machine.save(path)
    return path


@pytest.fixture
def broken(directory: Path) -> Path:
    for file in directory.iterdir():
        file.write_bytes(b"{")
    return directory


def test_gives_a_report_over_what_was_asked(directory: Path) -> None:
    evidence = SimulatedProvider(directory).attest(DATA)
    assert evidence.report[0x50:0x90] == DATA
    assert len(evidence.report) == 1184


def test_gives_the_certificates_of_the_host(directory: Path, machine: SimulatedMachine) -> None:
    evidence = SimulatedProvider(directory).attest(DATA)
    assert evidence.certificates == machine.certificate_table()


def test_sees_a_reboot_from_outside(directory: Path, machine: SimulatedMachine) -> None:
    provider = SimulatedProvider(directory)
    before = provider.boot_id()
    machine.reboot().save(directory)
    assert before == machine.boot_id != provider.boot_id()


async def test_a_directory_without_a_machine_is_no_platform(tmp_path: Path) -> None:
    with pytest.raises(ProviderFailed, match="no simulated machine") as failed:
        await Platform(SimulatedProvider(tmp_path)).boot_id()
    assert failed.value.cause is Cause.NO_PLATFORM


async def test_a_broken_machine_gives_no_evidence(broken: Path) -> None:
    with pytest.raises(ProviderFailed, match="the platform gave no evidence"):
        await Platform(SimulatedProvider(broken)).attest(DATA)


def test_choosing_it_is_said_loudly(directory: Path) -> None:
    with capture_logs() as logs:
        provider = choose(Simulated(directory))
    assert provider.name == "simulated"
    assert logs[0]["log_level"] == "warning"
    assert logs[0]["event"].startswith("SIMULATED PLATFORM")


@pytest.fixture
def blocking(directory: Path) -> Path:
    """A machine whose files can be opened but never read."""
    for file in directory.iterdir():
        file.unlink()
        os.mkfifo(file)
    return directory


@pytest.fixture
def start(operator: FakeOperator, token_file: Path, ca_file: Path) -> Start:
    """Start the real command with a simulated machine."""

    async def start(machine: Path) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nodeproof_agent", "--operator-url", operator.url),
            *("--token-file", token_file, "--ca-file", ca_file),
            *("--provider", "simulated", "--simulated-machine", machine),
            *("--metrics-address", "127.0.0.1:0", "--log-format", "json"),
            stderr=asyncio.subprocess.PIPE,
        )

    return start


async def stopped(process: asyncio.subprocess.Process) -> bytes:
    """Stop the process and return what it logged."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        _, logged = await process.communicate()
    return logged


async def test_the_command_attests_until_sigterm(
    operator: FakeOperator, start: Start, directory: Path
) -> None:
    process = await start(directory)
    await operator.reached(2)
    logged = await stopped(process)
    assert process.returncode == 0
    assert b"SIMULATED PLATFORM" in logged
    assert b"agent stopped" in logged
    assert token_of().encode() not in logged


async def test_the_command_stops_though_the_platform_blocks(
    operator: FakeOperator, start: Start, blocking: Path
) -> None:
    process = await start(blocking)
    await operator.reached(1)
    assert b"agent stopped" in await stopped(process)
    assert process.returncode == 0
