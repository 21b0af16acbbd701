"""What an agent is started with, so that it reaches its node's machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fakes import simulated
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_agent.settings import CONFIGFS_TSM, SEV_GUEST, SIMULATED
from nodeproof_dev import sev_guest_shim, tsm_mount
from nodeproof_dev.interfaces import Shims, Simulator, ThroughSevGuest, ThroughTsm, why_not
from nodeproof_dev.process import clean_environment

HERE = why_not(SEV_GUEST)
needs_compiler = pytest.mark.skipif(bool(HERE), reason=HERE)
PROGRAM = "print(open('/proc/sys/kernel/random/boot_id').read(), open('/proc/self/comm').read())"


@pytest.fixture(scope="module")
def shims(tmp_path_factory: pytest.TempPathFactory) -> Shims:
    return Shims.compile(tmp_path_factory.mktemp("shims"))


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    directory = tmp_path / "machine"
    directory.mkdir()
    simulated.machine(seed=1).save(directory)
    return directory


def boot_id_read_with(environment: Mapping[str, str]) -> str:
    found = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", PROGRAM],
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        check=True,
    )
    boot_id, command = found.stdout.split()
    assert command.startswith("python"), "another file than the boot ID is not the kernel's"
    return boot_id


@pytest.mark.cc
@needs_compiler
def test_an_agent_reads_its_machines_boot_id_also_after_a_reboot(
    machine: Path, tmp_path: Path, shims: Shims
) -> None:
    interface = ThroughTsm(machine, tmp_path, shims)
    before = SimulatedMachine.load(machine)
    assert boot_id_read_with(interface.environment) == before.boot_id
    after = before.reboot()
    interface.booted(after)
    assert boot_id_read_with(interface.environment) == after.boot_id


@pytest.mark.cc
@needs_compiler
def test_both_shims_are_preloaded(machine: Path, tmp_path: Path, shims: Shims) -> None:
    with ThroughSevGuest(machine, tmp_path, shims) as interface:
        environment = interface.environment
        assert boot_id_read_with(environment) == SimulatedMachine.load(machine).boot_id
    assert environment["LD_PRELOAD"].split(":") == [str(shims.boot_id), str(shims.sev_guest)]


@pytest.mark.cc
@needs_compiler
def test_a_reboot_brings_the_key_back_and_the_new_launch(
    machine: Path, tmp_path: Path, shims: Shims
) -> None:
    after = SimulatedMachine.load(machine).reboot()
    with ThroughSevGuest(machine, tmp_path, shims) as interface:
        interface.lose_key()
        interface.booted(after)
        assert (interface.driver.key_disabled, interface.driver.machine) == (False, after)


def test_the_simulator_takes_the_machine_alone() -> None:
    simulator = Simulator(Path("/machine"))
    assert simulator.arguments == ("--provider=simulated", "--simulated-machine=/machine")
    assert simulator.environment == {}


@pytest.mark.parametrize(
    ("provider", "reason"),
    [(SIMULATED, ""), (SEV_GUEST, "no compiler"), (CONFIGFS_TSM, "no FUSE")],
)
def test_says_what_an_interface_lacks_here(
    provider: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tsm_mount, "missing", lambda: "no FUSE")
    monkeypatch.setattr(sev_guest_shim, "why_not", lambda: "no compiler")
    assert why_not(provider) == reason
