from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers import Provider
from nodeproof_agent.providers.configfs_tsm import ConfigfsTSM
from nodeproof_agent.providers.selection import NOT_THERE, Automatic, Interface, choose
from nodeproof_agent.providers.sev_guest import SevGuestDevice
from nodeproof_agent.settings import Hardware
from unit.agent.agent_standins import FakeProvider, no_device

DATA = bytes(64)


@dataclass
class Machine:
    """A machine with two interfaces, of which none exists at first."""

    directory: Path
    first: FakeProvider = field(default_factory=lambda: FakeProvider("first"))
    second: FakeProvider = field(default_factory=lambda: FakeProvider("second"))
    opened: list[str] = field(default_factory=list)

    def automatic(self) -> Automatic:
        each = (self.first, self.second)
        return Automatic(tuple(map(self._interface, each)), read_boot_id=lambda: "the-boot")

    def has(self, provider: FakeProvider) -> None:
        (self.directory / provider.name).touch()

    def _interface(self, provider: FakeProvider) -> Interface:
        def open_it() -> Provider:
            self.opened.append(provider.name)
            return provider

        return Interface(self.directory / provider.name, open_it)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def fail(automatic: Automatic) -> ProviderFailed:
    with pytest.raises(ProviderFailed) as caught:
        automatic.attest(DATA)
    return caught.value


@pytest.mark.parametrize(
    ("word", "kind"), [("configfs-tsm", ConfigfsTSM), ("sev-guest", SevGuestDevice)]
)
def test_takes_the_provider_that_is_named(word: str, kind: type[Provider]) -> None:
    chosen = choose(Hardware(word))
    assert isinstance(chosen, kind)
    assert chosen.name == word


def test_tells_the_provider_where_its_interface_is(tmp_path: Path) -> None:
    chosen = choose(Hardware("configfs-tsm", tsm_root=tmp_path / "nowhere"))
    with pytest.raises(ProviderFailed, match="nowhere"):
        chosen.attest(DATA)


def test_tells_the_provider_where_its_device_is(tmp_path: Path) -> None:
    chosen = choose(Hardware("sev-guest", sev_guest_device=tmp_path / "nowhere"))
    with pytest.raises(ProviderFailed) as caught:
        chosen.attest(DATA)
    assert caught.value.cause in NOT_THERE


def test_a_machine_without_any_interface_has_no_platform(tmp_path: Path) -> None:
    chosen = choose(Hardware(tsm_root=tmp_path / "report", sev_guest_device=tmp_path / "sev-guest"))
    with pytest.raises(ProviderFailed, match=r"report or .*sev-guest") as caught:
        chosen.attest(DATA)
    assert caught.value.cause is Cause.NO_PLATFORM


def test_asks_the_first_interface_that_is_there(machine: Machine) -> None:
    machine.has(machine.first)
    machine.has(machine.second)
    machine.automatic().attest(DATA)
    assert (machine.first.asked, machine.second.asked) == ([DATA], [])


def test_asks_the_second_where_there_is_no_first(machine: Machine) -> None:
    machine.has(machine.second)
    machine.automatic().attest(DATA)
    assert machine.opened == ["second"]


@pytest.mark.parametrize("cause", sorted(NOT_THERE))
def test_asks_the_second_where_the_first_cannot_be_used(machine: Machine, cause: Cause) -> None:
    machine.has(machine.first)
    machine.has(machine.second)
    machine.first.fault = no_device(cause)
    assert machine.automatic().attest(DATA).report


@pytest.mark.parametrize("cause", sorted(set(Cause) - NOT_THERE))
def test_asks_a_platform_by_one_door_only(machine: Machine, cause: Cause) -> None:
    machine.has(machine.first)
    machine.has(machine.second)
    machine.first.fault = no_device(cause)
    assert fail(machine.automatic()).cause is cause
    assert machine.second.asked == []


def test_says_why_the_only_interface_cannot_be_used(machine: Machine) -> None:
    machine.has(machine.first)
    machine.first.fault = no_device(Cause.PROVIDER_MISSING)
    assert fail(machine.automatic()).cause is Cause.PROVIDER_MISSING


def test_names_the_interface_that_only_lacks_a_permission(machine: Machine) -> None:
    machine.has(machine.first)
    machine.has(machine.second)
    machine.first.fault = no_device(Cause.PROVIDER_MISSING)
    machine.second.fault = no_device(Cause.PERMISSION_DENIED)
    assert fail(machine.automatic()).cause is Cause.PERMISSION_DENIED


def test_a_driver_that_is_loaded_late_needs_no_restart(machine: Machine) -> None:
    automatic = machine.automatic()
    assert fail(automatic).cause is Cause.NO_PLATFORM
    machine.has(machine.second)
    assert automatic.attest(DATA).report
    machine.has(machine.first)
    assert automatic.attest(DATA).report
    assert machine.opened == ["second", "first"]


def test_an_interface_that_goes_is_missed(machine: Machine) -> None:
    automatic = machine.automatic()
    machine.has(machine.first)
    automatic.attest(DATA)
    (machine.directory / "first").unlink()
    assert fail(automatic).cause is Cause.NO_PLATFORM


def test_an_interface_that_may_not_be_looked_at_is_asked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "exists", denied)
    machine.first.fault = no_device(Cause.PERMISSION_DENIED)
    machine.second.fault = no_device(Cause.NO_PLATFORM)
    assert fail(machine.automatic()).cause is Cause.PERMISSION_DENIED


def test_keeps_its_providers(machine: Machine) -> None:
    machine.has(machine.first)
    automatic = machine.automatic()
    automatic.attest(DATA)
    automatic.attest(DATA)
    assert machine.opened == ["first"]


def test_says_once_which_it_found(machine: Machine) -> None:
    machine.has(machine.first)
    automatic = machine.automatic()
    with capture_logs() as logs:
        automatic.attest(DATA)
        automatic.attest(DATA)
    assert [(each["event"], each["provider"]) for each in logs] == [("platform found", "first")]


def test_reads_the_boot_id_though_there_is_no_platform(machine: Machine) -> None:
    assert machine.automatic().boot_id() == "the-boot"


def test_is_called_auto() -> None:
    assert choose(Hardware()).name == "auto"
