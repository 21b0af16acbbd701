"""The kernel: how new it is, and what it has logged about memory encryption and its driver."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nodeproof_agent.doctor.kernel_log import KernelLog
from nodeproof_agent.doctor.machine import Machine

Version = tuple[int, int]

ADVISED: Version = (6, 9)
"""Older drivers give up the key to the firmware more readily, throttling included."""

WITH_CONFIGFS_TSM: Version = (6, 7)
WITH_DRIVER: Version = (5, 19)

_ACTIVE = re.compile(r"Memory Encryption Features active: (.*)")
_STATUS = re.compile(r"SEV: Status: (.*)")
_VMPL = re.compile(r"SNP running at VMPL(\d)")
_DRIVER_UP = re.compile(r"Initialized SEV guest driver")
_KEY_DISABLED = re.compile(r"Disabling (VMPCK\d|vmpck_id \d).*to prevent IV reuse")
_COMPLAINT = re.compile(
    r"sev-guest.*(?:fail|error|[Ii]nvalid|[Ee]mpty|unable)|[Ii]nvalid VMPCK|[Ee]mpty VMPCK"
)
_SHOWN = (_ACTIVE, _STATUS, _VMPL, _DRIVER_UP, _KEY_DISABLED, _COMPLAINT)
_MAX_SHOWN = 12

_RELEASE = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The running kernel.

    Attributes:
        release: As ``uname -r`` says it; empty if unknown.
        version: Its first two numbers.
    """

    release: str
    version: Version | None


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What the kernel has said about itself.

    Attributes:
        active: What it says is in use, such as ``AMD SEV SEV-ES SEV-SNP``; empty if it does not.
        vmpl: The privilege level that it says it runs at.
        driver_up: It has set up the sev-guest driver.
        key_disabled: The line that says that the key to the firmware is given up, or empty.
        complaints: What the driver complains of.
        shown: The lines that tell all this, at most twelve.
        whole: Whether the log goes back to the boot, so that a missing line says something.
        unreadable: Why it cannot be read; empty if it can.
        restricted: ``kernel.dmesg_restrict``; None if unknown.
    """

    active: str
    vmpl: int | None
    driver_up: bool
    key_disabled: str
    complaints: tuple[str, ...]
    shown: tuple[str, ...]
    whole: bool
    unreadable: str
    restricted: bool | None


def probe_kernel(machine: Machine) -> Kernel:
    """Return which kernel runs."""
    numbers = _RELEASE.match(machine.release)
    return Kernel(machine.release, (int(numbers[1]), int(numbers[2])) if numbers else None)


def probe_log(machine: Machine, log: KernelLog) -> LogFacts:
    """Return what is in the kernel's log."""
    vmpl = _first(_VMPL, log.lines)
    active = _first(_ACTIVE, log.lines) or _first(_STATUS, log.lines)
    disabled = _matching((_KEY_DISABLED,), log.lines)
    restricted = machine.number("/proc/sys/kernel/dmesg_restrict")
    return LogFacts(
        active=active[1].strip() if active else "",
        vmpl=int(vmpl[1]) if vmpl else None,
        driver_up=_first(_DRIVER_UP, log.lines) is not None,
        key_disabled=disabled[-1] if disabled else "",
        complaints=_matching((_COMPLAINT,), log.lines),
        shown=_matching(_SHOWN, log.lines)[-_MAX_SHOWN:],
        whole=log.whole,
        unreadable=log.unreadable,
        restricted=None if restricted is None else restricted != 0,
    )


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> re.Match[str] | None:
    return next(filter(None, map(pattern.search, lines)), None)


def _matching(patterns: Iterable[re.Pattern[str]], lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(line for line in lines if any(pattern.search(line) for pattern in patterns))
