"""configfs-tsm as a program: entries, attributes, generations, and a switch for each fault.

It behaves as Linux' ``drivers/virt/coco/tsm.c`` with the provider of ``sev-guest.c`` behind
``fs/configfs/file.c``, and raises ``OSError`` where they return an error. In one thing it is
stricter: the kernel makes writers wait while a report is made, here they need not, and the reader
gets EBUSY. A client has to live with either.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from nodeproof.binding import REPORT_DATA_SIZE

INBLOB_MAX = 64
"""TSM_INBLOB_MAX, include/linux/tsm.h."""

OUTBLOB_MAX = 32 * 1024
"""TSM_OUTBLOB_MAX, the same."""

PRIVLEVEL_MAX = 3
"""TSM_PRIVLEVEL_MAX, the same."""

FAULTS_XATTR = "user.nodeproof.faults"
REPORTS_XATTR = "user.nodeproof.reports"
"""Extended attributes of the mounted directory, by which it is steered; the kernel has none."""

READ_ONLY = 0o444
WRITE_ONLY = 0o200

ATTRIBUTES = {
    "inblob": WRITE_ONLY,
    "outblob": READ_ONLY,
    "auxblob": READ_ONLY,
    "provider": READ_ONLY,
    "generation": READ_ONLY,
    "privlevel": WRITE_ONLY,
    "privlevel_floor": READ_ONLY,
}
"""What every entry has, with its mode (CONFIGFS_ATTR and CONFIGFS_BIN_ATTR, linux/configfs.h)."""

BINARY = frozenset({"inblob", "outblob", "auxblob"})


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong; all of it can be switched while the file system is mounted.

    Attributes:
        provider: The registered provider; empty for none.
        floor: The lowest privilege level that may be asked for.
        denied: Whether making entries is refused.
        error: The errno's name with which making a report fails; empty for none.
        times: How many reports fail with it before they succeed again; below 0: all.
        rivals: How many requests another process overwrites before they are read.
        late_rivals: The same, while the report is made.
        lost_writes: How many inblobs are lost at close, of which the kernel says nothing.
        report_bytes: How much of a report is given; below 0: all.
        other_data: Whether reports are over other REPORT_DATA.
        table_bytes: The size of the certificate table; below 0: the machine's own.
        removals_failing: How many entries cannot be removed.
        hanging: Whether firmware gives no answer until this is switched off.
    """

    provider: str = "sev_guest"
    floor: int = 0
    denied: bool = False
    error: str = ""
    times: int = -1
    rivals: int = 0
    late_rivals: int = 0
    lost_writes: int = 0
    report_bytes: int = -1
    other_data: bool = False
    table_bytes: int = -1
    removals_failing: int = 0
    hanging: bool = False


Firmware = Callable[[bytes, int], tuple[bytes, bytes]]
"""Makes a report and a certificate table from REPORT_DATA and VMPL."""


@dataclass(slots=True)
class Item:
    """One entry (``struct tsm_report_state``)."""

    inblob: bytes = b""
    privlevel: int = 0
    write_generation: int = 0
    read_generation: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    dead: bool = False


@dataclass(slots=True)
class Opened:
    """One opening of an attribute (``struct configfs_buffer``)."""

    item: Item
    attribute: str
    content: bytes | None = None
    written: bytearray | None = None


def fail(number: int) -> OSError:
    """Return the error of this number."""
    return OSError(number, os.strerror(number))


class TsmModel:
    """The directory ``tsm/report``.

    Attributes:
        reports: How many requests reached the firmware.
    """

    def __init__(self, firmware: Firmware) -> None:
        self.reports = 0
        self._firmware = firmware
        self._items: dict[str, Item] = {}
        self._faults = Faults()
        self._changed = threading.Condition()

    @property
    def faults(self) -> Faults:
        """What is wrong now; counters count down."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        with self._changed:
            self._faults = faults
            self._changed.notify_all()

    def names(self) -> list[str]:
        """Return the entries that exist."""
        with self._changed:
            return list(self._items)

    def item(self, name: str) -> Item:
        """Return an entry (ENOENT)."""
        with self._changed:
            if name not in self._items:
                raise fail(errno.ENOENT)
            return self._items[name]

    def make(self, name: str) -> None:
        """Make an entry (``tsm_report_make_item``)."""
        with self._changed:
            if self._faults.denied:
                raise fail(errno.EACCES)
            if name in self._items:
                raise fail(errno.EEXIST)
            if not self._faults.provider:
                raise fail(errno.ENXIO)
            self._items[name] = Item()

    def remove(self, name: str) -> None:
        """Remove an entry with its attributes; who still has one open gets ENOENT from then on."""
        item = self.item(name)
        with self._changed:
            if self._count("removals_failing"):
                raise fail(errno.EBUSY)
            item.dead = True
            del self._items[name]

    def open(self, name: str, attribute: str, flags: int) -> Opened:
        """Open an attribute in its mode; even root cannot do otherwise (fs/configfs/file.c)."""
        item = self.item(name)
        if attribute not in ATTRIBUTES:
            raise fail(errno.ENOENT)
        expected = os.O_RDONLY if ATTRIBUTES[attribute] == READ_ONLY else os.O_WRONLY
        if flags & os.O_ACCMODE != expected:
            raise fail(errno.EACCES)
        return Opened(item, attribute)

    def read(self, opened: Opened) -> bytes:
        """Return the whole attribute, as of the first read of this opening."""
        if opened.item.dead:
            raise fail(errno.ENOENT)
        if opened.content is None:
            opened.content = self._show(opened.item, opened.attribute)
        return opened.content

    def write(self, opened: Opened, data: bytes, offset: int) -> int:
        """Write; binary attributes are only stored by ``close``."""
        if opened.item.dead:
            raise fail(errno.ENOENT)
        if opened.attribute == "privlevel":
            self._store_privlevel(opened.item, data)
            return len(data)
        if offset + len(data) > INBLOB_MAX:
            raise fail(errno.EFBIG)
        content = opened.written = opened.written or bytearray()
        content.extend(bytes(max(0, offset + len(data) - len(content))))
        content[offset : offset + len(data)] = data
        return len(data)

    def close(self, opened: Opened) -> None:
        """Store what was written; as the kernel, never tell whether that worked."""
        with self._changed:
            written, opened.written = opened.written, None
            if written is None or opened.item.dead or self._count("lost_writes"):
                return
            _store_inblob(opened.item, bytes(written))

    def _show(self, item: Item, attribute: str) -> bytes:
        if attribute in BINARY:
            return self._blobs(item)[attribute]
        texts = {
            "provider": self._faults.provider,
            "generation": str(item.write_generation),
            "privlevel_floor": str(self._faults.floor),
        }
        return f"{texts[attribute]}\n".encode()

    def _store_privlevel(self, item: Item, data: bytes) -> None:
        try:
            value = int(data.decode().removesuffix("\n"), 0)
        except ValueError as error:
            raise fail(errno.EINVAL) from error
        with self._changed:
            if not self._faults.floor <= value <= PRIVLEVEL_MAX:
                raise fail(errno.EINVAL)
            item.write_generation += 1
            item.privlevel = value

    def _blobs(self, item: Item) -> dict[str, bytes]:
        """Return report and table; made when nothing is cached for the latest writes."""
        with self._changed:
            if not item.inblob:
                raise fail(errno.EINVAL)
            if self._count("rivals"):
                _interfere(item)
            if item.blobs and item.read_generation == item.write_generation:
                return item.blobs
            generation, request, level = item.write_generation, item.inblob, item.privlevel
            item.blobs = {}
        blobs = self._make_blobs(request, level)
        with self._changed:
            if self._count("late_rivals"):
                _interfere(item)
            if item.write_generation != generation:
                raise fail(errno.EBUSY)
            item.blobs, item.read_generation = blobs, generation
        return blobs

    def _make_blobs(self, request: bytes, level: int) -> dict[str, bytes]:
        """Ask the firmware (``sev_report_new``)."""
        if len(request) != REPORT_DATA_SIZE:
            raise fail(errno.EINVAL)
        with self._changed:
            self.reports += 1
            self._changed.wait_for(lambda: not self._faults.hanging)
            if self._faults.error and (self._faults.times < 0 or self._count("times")):
                raise fail(getattr(errno, self._faults.error))
            faults = self._faults
        report, table = self._firmware(bytes(64) if faults.other_data else request, level)
        if faults.report_bytes >= 0:
            report = report[: faults.report_bytes]
        if faults.table_bytes >= 0:
            table = table[: faults.table_bytes].ljust(faults.table_bytes, b"\0")
        return {"outblob": report, "auxblob": table}

    def _count(self, counter: str) -> bool:
        """Use up one of a fault's times; return whether there was one."""
        left = getattr(self._faults, counter)
        if left <= 0:
            return False
        self._faults = msgspec.structs.replace(self._faults, **{counter: left - 1})
        return True


def _store_inblob(item: Item, data: bytes) -> None:
    item.write_generation += 1
    item.inblob = data


def _interfere(item: Item) -> None:
    """Write as another process does that has found the entry."""
    _store_inblob(item, b"\xee" * REPORT_DATA_SIZE)
