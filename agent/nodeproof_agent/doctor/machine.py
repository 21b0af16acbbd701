"""The machine as the doctor sees it: its files and the few things that are no files, injected."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from nodeproof_agent.doctor.kernel_log import KernelLog, read_kernel_log
from nodeproof_agent.providers.configfs_tsm import ConfigfsTSM

_PART = 64 * 1024
"""Bytes of one read; /proc/sys refuses reads of megabytes."""

_MAX_PARTS = 64
"""More than any file needs that is read: a ``modules.dep`` has some hundreds of kilobytes."""

_CPUID_DEVICE = Path("/dev/cpu/0/cpuid")


class Registers(NamedTuple):
    """What the instruction CPUID returns, 32 bits each."""

    eax: int
    ebx: int
    ecx: int
    edx: int


def read_cpuid(leaf: int, device: Path = _CPUID_DEVICE) -> Registers | None:
    """Return a leaf of CPUID on the first processor; None if the device cannot be read.

    The file offset is the leaf, in its upper half the sub-leaf (Linux, cpuid(4)).
    """
    size = struct.calcsize("<4I")
    try:
        handle = os.open(device, os.O_RDONLY)
        try:
            data = os.pread(handle, size, leaf)
        finally:
            os.close(handle)
    except OSError:
        return None
    return Registers(*struct.unpack("<4I", data)) if len(data) == size else None


def may_use(path: Path, mode: int) -> bool:
    """Return whether the kernel would let us: owner, mode, read-only mounts and device lists."""
    return os.access(path, mode, effective_ids=True)


def probe_configfs(root: Path, vmpl: int | None) -> None:
    """Make and remove an entry of configfs-tsm; asks no firmware.

    Raises:
        ProviderFailed: No use in asking for a report there, and why.
    """
    ConfigfsTSM(root, vmpl).probe()


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine to look at.

    Attributes:
        root: Where its files are; everything below is found under it.
        release: The kernel's, as ``uname -r`` says it.
        euid: The user that the agent would be.
        environment: The process's variables.
        cpuid: A leaf of CPUID, or None where it cannot be read.
        kernel_log: Reads the kernel's log.
        may: Whether a path may be used in a mode of ``os.access``.
        probe_configfs: See above; given the directory and the VMPL to ask for.
    """

    root: Path = Path("/")
    release: str = field(default_factory=lambda: os.uname().release)
    euid: int = field(default_factory=os.geteuid)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cpuid: Callable[[int], Registers | None] = read_cpuid
    kernel_log: Callable[[], KernelLog] = read_kernel_log
    may: Callable[[Path, int], bool] = may_use
    probe_configfs: Callable[[Path, int | None], None] = probe_configfs

    def path(self, absolute: str | Path) -> Path:
        """Return where a path of the machine is for us."""
        return self.root / str(absolute).lstrip("/")

    def exists(self, absolute: str | Path) -> bool:
        """Return whether something is there that we can see."""
        return os.path.lexists(self.path(absolute))

    def text(self, absolute: str | Path) -> str | None:
        """Return a file's text, its first megabytes if it is huge; None if it cannot be read."""
        try:
            with self.path(absolute).open("rb", buffering=0) as file:
                parts = iter(lambda: file.read(_PART), b"")
                return b"".join(islice(parts, _MAX_PARTS)).decode("utf-8", "replace")
        except OSError:
            return None

    def line(self, absolute: str | Path) -> str:
        """Return the first line of a file; empty if there is none."""
        text = self.text(absolute) or ""
        return text.partition("\n")[0].strip("\0 \t")

    def number(self, absolute: str | Path) -> int | None:
        """Return the decimal number in a file; None if there is none."""
        try:
            return int(self.line(absolute))
        except ValueError:
            return None
