"""Which provider is asked: the one that the settings name, or whichever is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers import PlatformEvidence, Provider, boot
from nodeproof_agent.settings import AUTO, CONFIGFS_TSM, SEV_GUEST, Hardware, Simulated

NOT_THERE = frozenset(
    {
        Cause.NO_PLATFORM,
        Cause.INTERFACE_NOT_MOUNTED,
        Cause.PROVIDER_MISSING,
        Cause.PERMISSION_DENIED,
    }
)
"""Causes for which the next interface is tried. All others come from a platform that is there: to
ask it again by another door would only double its load."""

_log = structlog.get_logger()


def choose(chosen: Hardware | Simulated) -> Provider:
    """Return the provider that the settings name; nothing is asked of it yet."""
    if isinstance(chosen, Simulated):
        return _simulated(chosen)
    if chosen.provider == CONFIGFS_TSM:
        return _configfs_tsm(chosen)
    if chosen.provider == SEV_GUEST:
        return _sev_guest(chosen)
    return Automatic(
        (
            Interface(chosen.tsm_root, lambda: _configfs_tsm(chosen)),
            Interface(chosen.sev_guest_device, lambda: _sev_guest(chosen)),
        )
    )


@dataclass(frozen=True, slots=True)
class Interface:
    """One way to the platform.

    Attributes:
        path: What exists where there is such an interface.
        open: Returns its provider.
    """

    path: Path
    open: Callable[[], Provider]


@dataclass(slots=True)
class Automatic:
    """The first interface that is there, looked for at every request.

    So a driver that is loaded late, or a file system that is mounted late, needs no restart.

    Attributes:
        interfaces: In the order of preference.
        read_boot_id: Returns the ID of this boot.
    """

    interfaces: Sequence[Interface]
    read_boot_id: Callable[[], str] = boot.boot_id
    name: str = AUTO
    _opened: dict[Path, Provider] = field(init=False, default_factory=dict)
    _last_name: str = field(init=False, default="")

    def boot_id(self) -> str:
        """Return the ID of this boot.

        Raises:
            ProviderFailed: The kernel does not give one.
        """
        return self.read_boot_id()

    def attest(self, report_data: bytes) -> PlatformEvidence:
        """Return the evidence of the first interface that is there.

        Raises:
            ProviderFailed: None is there, or the one that is gives no evidence.
        """
        refused: list[ProviderFailed] = []
        for interface in self.interfaces:
            if not _may_exist(interface.path):
                continue
            provider = self._provider(interface)
            try:
                evidence = provider.attest(report_data)
            except ProviderFailed as error:
                if error.cause not in NOT_THERE:
                    raise
                refused.append(error)
            else:
                self._say(provider.name)
                return evidence
        raise self._failure(refused)

    def _provider(self, interface: Interface) -> Provider:
        if interface.path not in self._opened:
            self._opened[interface.path] = interface.open()
        return self._opened[interface.path]

    def _say(self, name: str) -> None:
        if name != self._last_name:
            self._last_name = name
            _log.info("platform found", provider=name)

    def _failure(self, refused: Sequence[ProviderFailed]) -> ProviderFailed:
        """Return why there is no evidence: by the interface that is nearest to working."""
        denied = [each for each in refused if each.cause is Cause.PERMISSION_DENIED]
        if refused:
            return (denied or refused)[0]
        return ProviderFailed(
            "there is no SEV-SNP platform here; 'nodeproof-agent doctor' tells what is missing",
            cause=Cause.NO_PLATFORM,
            expected=" or ".join(str(each.path) for each in self.interfaces),
            observed="neither exists",
        )


def _may_exist(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # it may not be looked at: its provider says so


# Providers are loaded only when needed: a real node never holds the simulator in memory.


def _configfs_tsm(chosen: Hardware) -> Provider:
    from nodeproof_agent.providers.configfs_tsm import ConfigfsTSM  # noqa: PLC0415

    return ConfigfsTSM(chosen.tsm_root, chosen.vmpl)


def _sev_guest(chosen: Hardware) -> Provider:
    from nodeproof_agent.providers.sev_guest import SevGuestDevice  # noqa: PLC0415

    return SevGuestDevice(chosen.sev_guest_device, vmpl=chosen.vmpl)


def _simulated(chosen: Simulated) -> Provider:
    from nodeproof_agent.providers.simulated import SimulatedProvider  # noqa: PLC0415

    provider = SimulatedProvider(chosen.machine)
    provider.warn()
    return provider
