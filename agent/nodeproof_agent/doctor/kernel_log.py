"""Reads the kernel's log, where a process may: ``/dev/kmsg`` first, then the call syslog(2)."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

KMSG = Path("/dev/kmsg")

_MAX_RECORDS = 1_000_000
_RECORD_SIZE = 8192
"""Bytes of the longest record (Linux, Documentation/ABI/testing/dev-kmsg)."""

_MAX_RING = 16 * 1024 * 1024
_READ_ALL, _SIZE_BUFFER = 3, 10
"""Actions of syslog(2)."""

_FACILITY = 8
"""A priority below this is the kernel's own; root may write lines of other facilities."""

_RING_LINE = re.compile(r"<(\d+)>(?:\[ *\d+\.\d+\](?:\[[^\]]*\])? )?(.*)")
_FIRST = "Linux version "


@dataclass(frozen=True, slots=True)
class KernelLog:
    """What the kernel has logged since boot.

    Attributes:
        lines: Its own messages, oldest first, without time.
        whole: Whether it goes back to the boot; later lines push the first ones out.
        unreadable: Why there are none; empty if they were read.
    """

    lines: tuple[str, ...] = ()
    whole: bool = True
    unreadable: str = ""


def read_kernel_log(device: Path = KMSG, ring: Callable[[], str] | None = None) -> KernelLog:
    """Return the kernel's log, or why it cannot be read."""
    try:
        return from_records(_records(device))
    except OSError as error:
        first = f"{device}: {error.strerror}"
    try:
        return from_ring((ring or _ring)())
    except OSError as error:
        return KernelLog(whole=False, unreadable=f"{first}; syslog(2): {error.strerror}")


def from_records(records: Iterator[bytes]) -> KernelLog:
    """Return the log in records of ``/dev/kmsg``: ``priority,sequence,time,…;message``."""
    lines: list[str] = []
    whole: bool | None = None
    for record in records:
        prefix, separator, message = record.decode("utf-8", "replace").partition(";")
        priority, _, rest = prefix.partition(",")
        sequence = rest.partition(",")[0]
        if not (separator and priority.isdecimal() and sequence.isdecimal()):
            continue
        whole = int(sequence) == 0 if whole is None else whole
        if int(priority) < _FACILITY:
            lines.append(message.partition("\n")[0])
    return KernelLog(tuple(lines), bool(whole))


def from_ring(text: str) -> KernelLog:
    """Return the log in the text that syslog(2) gives."""
    found = filter(None, map(_RING_LINE.fullmatch, text.splitlines()))
    lines = tuple(line[2] for line in found if int(line[1]) < _FACILITY)
    return KernelLog(lines, whole=bool(lines) and lines[0].startswith(_FIRST))


def _records(device: Path) -> Iterator[bytes]:
    handle = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield from read_records(handle)
    finally:
        os.close(handle)


def read_records(handle: int) -> Iterator[bytes]:
    """Yield one record after the other from a handle that does not block."""
    for _ in range(_MAX_RECORDS):
        try:
            record = os.read(handle, _RECORD_SIZE)
        except BlockingIOError:
            return
        except BrokenPipeError:
            continue  # the record was overwritten while we read; the next call has the next one
        if not record:
            return
        yield record


def _ring() -> str:
    size = min(_syslog(_SIZE_BUFFER, None, 0), _MAX_RING)
    buffer = ctypes.create_string_buffer(size)
    length = _syslog(_READ_ALL, buffer, size)
    return buffer.raw[:length].decode("utf-8", "replace")


def _syslog(action: int, buffer: ctypes.Array[ctypes.c_char] | None, size: int) -> int:
    result = int(ctypes.CDLL(None, use_errno=True).klogctl(action, buffer, size))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
