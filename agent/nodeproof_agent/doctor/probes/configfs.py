"""configfs-tsm: whether it is mounted, where, and whether an entry can be made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nodeproof_agent.doctor.machine import Machine
from nodeproof_agent.errors import ProviderFailed

_TYPE = "configfs"
_REPORTS = "tsm/report"
_ESCAPED = re.compile(r"\\([0-7]{3})")
"""Blanks and the like in /proc/self/mounts."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A place where configfs is mounted, or a part of it.

    Attributes:
        path: The place.
        reports: The directory of configfs-tsm in it, as far as can be told.
        read_only: Nothing can be made in it.
    """

    path: Path
    reports: Path
    read_only: bool


@dataclass(frozen=True, slots=True)
class Configfs:
    """The directory that entries are made in.

    Attributes:
        root: Where it should be.
        known: The kernel has configfs.
        mounts: Where it is mounted for this process.
        exists: The directory is there.
        failure: Why no entry can be made; None if one was made, and removed again.
    """

    root: Path
    known: bool
    mounts: tuple[Mount, ...]
    exists: bool
    failure: ProviderFailed | None = None

    @property
    def usable(self) -> bool:
        """Whether an entry was made."""
        return self.exists and self.failure is None

    @property
    def mount(self) -> Mount | None:
        """The mount that the directory lies on, or would."""
        under = (each for each in self.mounts if self.root.is_relative_to(each.path))
        return max(under, key=lambda each: len(each.path.parts), default=None)


def probe_configfs(machine: Machine, root: Path, vmpl: int | None) -> Configfs:
    """Return what is there; makes an entry and removes it, which asks no firmware."""
    exists = machine.path(root).is_dir()
    return Configfs(
        root=root,
        known=_TYPE in (machine.text("/proc/filesystems") or "").split(),
        mounts=tuple(_mounts(machine)),
        exists=exists,
        failure=_failure(machine, root, vmpl) if exists else None,
    )


def _failure(machine: Machine, root: Path, vmpl: int | None) -> ProviderFailed | None:
    try:
        machine.probe_configfs(machine.path(root), vmpl)
    except ProviderFailed as failure:
        return failure
    return None


def _mounts(machine: Machine) -> Iterator[Mount]:
    for line in (machine.text("/proc/self/mounts") or "").splitlines():
        _, place, kind, options, *_ = [*line.split(" "), "", "", "", ""]
        if kind == _TYPE:
            path = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), place))
            whole = path / _REPORTS
            reports = whole if machine.path(whole).is_dir() else path
            yield Mount(path, reports, read_only="ro" in options.split(","))
