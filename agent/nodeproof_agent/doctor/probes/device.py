"""The device node of the sev-guest driver, and whether this process may use it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nodeproof_agent.doctor.machine import Machine


class Node(StrEnum):
    """What is found at a device's path."""

    ABSENT = "absent"
    DEVICE = "device"
    OTHER = "not a device"


@dataclass(frozen=True, slots=True)
class Device:
    """The device node.

    Attributes:
        path: Where it should be.
        node: What is there.
        mode: Its type and permissions as ``ls -l`` shows them, such as ``crw-------``.
        owner: User and group, as numbers.
        usable: The kernel would let us read and write it.
    """

    path: Path
    node: Node
    mode: str = ""
    owner: tuple[int, int] = (0, 0)
    usable: bool = False


def probe_device(machine: Machine, path: Path) -> Device:
    """Return what is at the device's path."""
    where = machine.path(path)
    try:
        status = where.stat()
    except OSError:
        return Device(path, Node.ABSENT)
    is_device = stat.S_ISCHR(status.st_mode)
    return Device(
        path=path,
        node=Node.DEVICE if is_device else Node.OTHER,
        mode=stat.filemode(status.st_mode),
        owner=(status.st_uid, status.st_gid),
        usable=is_device and machine.may(where, os.R_OK | os.W_OK),
    )
