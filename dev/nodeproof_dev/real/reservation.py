"""One cluster's share of the machine: its network and control groups, recorded and given back.

Several clusters may run at the same time. What one has made that outlives its processes is written
down beforehand; a lock tells whether whoever made it still lives.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from nodeproof_dev.errors import NotPossible
from nodeproof_dev.process import wait_until
from nodeproof_dev.real import cgroups, wiring
from nodeproof_dev.real.addresses import INDEXES, Addresses, host_routes, is_free

_REMOVED_SECONDS = 60.0
"""How long removing a disk may be tried: its images alone may take a slow machine that long."""


class Record(msgspec.Struct, frozen=True):
    """What a cluster leaves behind if it is killed.

    Attributes:
        cgroup: The control group above all of its pods'.
        machines: The directory of its machines' disks.
    """

    cgroup: str
    machines: str


class Reservation:
    """A network that no other cluster has, and the record of what was made for this one.

    Attributes:
        addresses: The network.
        cgroup: The name of the control group for it.
    """

    def __init__(self, index: int, lock: FileLock, state: Path) -> None:
        self.addresses = Addresses(index)
        self.cgroup = f"nodeproof-{index}"
        self._lock = lock
        self._record = _record_path(state, index)

    def record(self, machines: Path) -> None:
        """Write down what is about to be made."""
        self._record.write_bytes(msgspec.json.encode(Record(self.cgroup, str(machines))))

    def give_back(self) -> None:
        """Remove what was made, and let others have the network."""
        try:
            _remove(self.addresses, self._record)
        finally:
            self._lock.release()


def reserve(state: Path, routes: Callable[[], Iterable[IPv4Network]] = host_routes) -> Reservation:
    """Remove what killed clusters have left, and return a network that is free.

    Args:
        state: Where locks and records are, the same for all clusters of this machine.
        routes: Where the host has routes to.

    Raises:
        NotPossible: No network is free.
    """
    state.mkdir(parents=True, exist_ok=True)
    _clean(state)
    for index in INDEXES:
        lock = FileLock(_lock_path(state, index))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        if is_free(Addresses(index), routes()):
            return Reservation(index, lock, state)
        lock.release()
    raise NotPossible(
        "no network is free for a cluster",
        expected=f"one of 10.{INDEXES[0]}.0.0/16 to 10.{INDEXES[-1]}.0.0/16",
    )


def _clean(state: Path) -> None:
    for record in state.glob("*.json"):
        index = int(record.stem)
        lock = FileLock(_lock_path(state, index))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            _remove(Addresses(index), record)
        finally:
            lock.release()


def _remove(addresses: Addresses, path: Path) -> None:
    """Remove what a record names; its processes have ended or are about to."""
    wiring.wait_disconnected(addresses)
    if path.exists():
        record = msgspec.json.decode(path.read_bytes(), type=Record)
        cgroups.remove(record.cgroup)
        for machine in Path(record.machines).glob("*/"):
            _remove_disk(machine)
        path.unlink()


def _remove_disk(machine: Path) -> None:
    """Remove all of a machine's directory but its logs."""
    for path in machine.iterdir():
        if path.is_dir() and path.name != "log":
            wait_until(partial(_is_removed, path), seconds=_REMOVED_SECONDS, what=f"{path} to go")
        elif not path.is_dir():
            path.unlink()


def _is_removed(directory: Path) -> bool:
    """Remove a directory; processes that are about to end may have written into it meanwhile."""
    shutil.rmtree(directory, ignore_errors=True)
    return not directory.exists()


def _record_path(state: Path, index: int) -> Path:
    return state / f"{index}.json"


def _lock_path(state: Path, index: int) -> Path:
    return state / f"{index}.lock"
