"""The simulated configfs-tsm as a mounted file system, a process of its own.

``python -m nodeproof_dev.tsm_fuse MACHINE MOUNTPOINT`` serves reports of the simulated machine in
that directory until SIGTERM. Faults are read and switched by an extended attribute of the mount
point, a JSON object of ``tsm_model.Faults``; another one counts the reports made.
"""

from __future__ import annotations

import errno
import itertools
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mfusepy
import msgspec

from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_dev.tsm_model import (
    ATTRIBUTES,
    BINARY,
    FAULTS_XATTR,
    REPORTS_XATTR,
    Faults,
    Firmware,
    Opened,
    TsmModel,
    fail,
)

_DIRECTORY = stat.S_IFDIR | 0o755
_TEXT_SIZE = 4096

_ENDED_BY_SIGNAL = 8
"""What libfuse's ``fuse_main`` returns when its loop was ended (libfuse, lib/helper.c)."""


class TsmFuse(mfusepy.Operations):
    """The model behind the calls that FUSE makes; called from several threads."""

    use_ns = True

    def __init__(self, model: TsmModel) -> None:
        self._model = model
        self._opened: dict[int, Opened] = {}
        self._handles = itertools.count(1)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Return modes and sizes; configfs states a page for text and nothing for blobs."""
        del fh
        entry, attribute = _parts(path)
        if entry:
            self._model.item(entry)
        if not attribute:
            return {"st_mode": _DIRECTORY, "st_nlink": 2}
        if attribute not in ATTRIBUTES:
            raise fail(errno.ENOENT)
        size = 0 if attribute in BINARY else _TEXT_SIZE
        return {"st_mode": stat.S_IFREG | ATTRIBUTES[attribute], "st_nlink": 1, "st_size": size}

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        """List entries, or an entry's attributes."""
        del fh
        entry, _ = _parts(path)
        if entry:
            self._model.item(entry)
        yield from (".", "..", *(ATTRIBUTES if entry else self._model.names()))

    def mkdir(self, path: str, mode: int) -> int:
        """Make an entry; none goes into another one."""
        del mode
        entry, attribute = _parts(path)
        if attribute:
            raise fail(errno.EPERM)
        self._model.make(entry)
        return 0

    def rmdir(self, path: str) -> int:
        """Remove an entry and its attributes."""
        self._model.remove(_parts(path)[0])
        return 0

    def unlink(self, path: str) -> int:
        """Refuse: attributes live and die with their entry."""
        del path
        raise fail(errno.EPERM)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        """Refuse: attributes live and die with their entry."""
        del path, mode, fi
        raise fail(errno.EACCES)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Do nothing, as configfs for those who open with O_TRUNC."""
        del path, length, fh
        return 0

    def open(self, path: str, flags: int) -> int:
        """Open an attribute."""
        entry, attribute = _parts(path)
        handle = next(self._handles)
        self._opened[handle] = self._model.open(entry, attribute, flags)
        return handle

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read from what the attribute was at the first read of this opening."""
        del path
        return self._model.read(self._opened[fh])[offset : offset + size]

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write an attribute."""
        del path
        return self._model.write(self._opened[fh], data, offset)

    def flush(self, path: str, fh: int) -> int:
        """Store blobs at ``close``: the kernel waits for this call, not for ``release``."""
        del path
        self._model.close(self._opened[fh])
        return 0

    def release(self, path: str, fh: int) -> int:
        """Forget an opening."""
        del path
        del self._opened[fh]
        return 0

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> int:
        """Switch faults."""
        del options, position
        if (path, name) != ("/", FAULTS_XATTR):
            raise fail(errno.EOPNOTSUPP)
        self._model.faults = msgspec.json.decode(value, type=Faults)
        return 0

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        """Tell the faults that are left, or the reports made."""
        del position
        if path == "/" and name == FAULTS_XATTR:
            return msgspec.json.encode(self._model.faults)
        if path == "/" and name == REPORTS_XATTR:
            return str(self._model.reports).encode()
        raise fail(errno.ENODATA)


def _parts(path: str) -> tuple[str, str]:
    """Return the entry and the attribute that a path names; empty where it names none."""
    entry, _, attribute = path.removeprefix("/").partition("/")
    return entry, attribute


def machine_firmware(machine: Path) -> Firmware:
    """Return what signs as this machine does; it is loaded anew for every report."""

    def sign(report_data: bytes, vmpl: int) -> tuple[bytes, bytes]:
        loaded = SimulatedMachine.load(machine)
        return loaded.attest(report_data, vmpl), loaded.certificate_table()

    return sign


def main() -> None:
    """Mount, and serve until SIGTERM."""
    machine, mountpoint = sys.argv[1:]
    try:
        serve(TsmModel(machine_firmware(Path(machine))), mountpoint)
    except RuntimeError as error:
        if error.args != (_ENDED_BY_SIGNAL,):
            raise


def serve(model: TsmModel, mountpoint: str) -> None:
    """Mount the model and serve it.

    Raises:
        RuntimeError: How libfuse ended, unless it was unmounted.
    """
    mfusepy.FUSE(
        TsmFuse(model),
        mountpoint,
        foreground=True,
        fsname="nodeproof-tsm",
        # Every read and every look-up comes here: nothing that another process does is missed.
        direct_io=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        # Unmounted also if this process is killed.
        auto_unmount=True,
    )


if __name__ == "__main__":
    main()
