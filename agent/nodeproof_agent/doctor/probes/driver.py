"""The sev-guest driver: whether the kernel has it, has loaded it, and found its device."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodeproof_agent.doctor.machine import Machine

_MODULE = "sev_guest"
_FILE = "/sev-guest.ko"
_PLATFORM_DEVICE = "/sys/devices/platform/sev-guest"
VMPL_FILE = "/sys/devices/system/cpu/sev/vmpl"
"""The level the kernel runs at, on SEV-SNP guests alone (Linux 6.11 and later)."""


class Supply(StrEnum):
    """Whether the running kernel comes with the driver."""

    BUILT_IN = "built in"
    MODULE = "module"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Driver:
    """The driver and what it drives.

    Attributes:
        loaded: It runs, as a module or built in.
        expected: The kernel has made the device that it drives: this is an SEV-SNP guest.
        bound: It drives that device.
        supply: Whether it is among the kernel's modules, where those can be seen.
        vmpl: The level the kernel says it runs at; None if it does not say.
    """

    loaded: bool
    expected: bool
    bound: bool
    supply: Supply
    vmpl: int | None


def probe_driver(machine: Machine, release: str) -> Driver:
    """Return what sysfs and the list of modules say."""
    modules = (machine.text("/proc/modules") or "").splitlines()
    return Driver(
        loaded=any(line.split(" ", 1)[0] == _MODULE for line in modules)
        or machine.exists(f"/sys/module/{_MODULE}"),
        expected=machine.exists(_PLATFORM_DEVICE),
        bound=machine.exists(f"{_PLATFORM_DEVICE}/driver"),
        supply=_supply(machine, release),
        vmpl=machine.number(VMPL_FILE),
    )


def _supply(machine: Machine, release: str) -> Supply:
    modules = f"/lib/modules/{release}"
    built_in, loadable = (
        machine.text(f"{modules}/{name}") for name in ("modules.builtin", "modules.dep")
    )
    if built_in is None or loadable is None:
        return Supply.UNKNOWN
    if _FILE in built_in:
        return Supply.BUILT_IN
    return Supply.MODULE if _FILE in loadable else Supply.ABSENT
