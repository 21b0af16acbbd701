"""A model of Linux' sev-guest driver with the firmware under it: a simulated machine, and faults.

It decides what ``drivers/virt/coco/sev-guest`` would; how requests come and answers go is the
caller's affair. The header's facts are stated here again, not taken from the agent under test.
"""

from __future__ import annotations

import errno
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from nodeproof.sevsnp.simulator.processor import SimulatedMachine

PAGE_SIZE = 4096
MAX_CERTIFICATES_SIZE = 4 * PAGE_SIZE
"""The driver's own limit (SEV_FW_BLOB_MAX_SIZE)."""

NO_FIRMWARE_CALL = 0xFF
"""``fw_error`` until the firmware is called (SEV_RET_NO_FW_CALL)."""

INVALID_LEN = 1
"""``vmm_error`` when the certificates do not fit (SNP_GUEST_VMM_ERR_INVALID_LEN)."""

BUSY = 2
"""``vmm_error`` when the host throttles (SNP_GUEST_VMM_ERR_BUSY)."""

INVALID_PARAMETER = 0x16
"""The firmware's status for a VMPL below the guest's own (AMD 56860)."""

_RESPONSE_SIZE = 4000
_MAX_VMPL = 3


class Number(IntEnum):
    """The ioctls."""

    OPEN = 0
    """None of them: the device is opened."""
    GET_REPORT = 1
    GET_EXT_REPORT = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Call:
    """What the driver finds when an ioctl comes in; the header's names."""

    number: int
    msg_version: int
    req_data: int
    resp_data: int
    user_data: bytes
    vmpl: int
    certs_len: int
    certs_address: int
    rsvd_used: bool = False

    @property
    def certificates_room(self) -> int:
        """Bytes that the caller has for certificates."""
        wanted = self.number == Number.GET_EXT_REPORT and self.certs_address
        return self.certs_len if wanted else 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the driver writes into the caller's memory, and returns.

    Attributes:
        error: ``errno``, 0 for success.
        exitinfo2: The codes of host and firmware.
        certs_len: What is written back after ``INVALID_LEN``.
        response: ``snp_report_resp``, 4,000 bytes, or nothing.
        certificates: The whole certificate buffer, or nothing.
        loses_key: Whether the driver disables its key with this.
    """

    error: int = 0
    exitinfo2: int = 0
    certs_len: int = 0
    response: bytes = b""
    certificates: bytes = b""
    loses_key: bool = False


Usual = Callable[[], Answer]
Fault = Callable[[Call, Usual], Answer]
"""Returns what is answered instead of the usual; may take its time."""


@dataclass(slots=True)
class SevGuestDriver:
    """The driver of one guest; its faults are switched while it is used.

    Attributes:
        machine: The guest.
        certificates: The table that the host keeps for it; none if empty.
        vmpl: The level that the guest runs at.
        knows_extended: Whether the driver has SNP_GET_EXT_REPORT.
        open_error: ``errno`` of every attempt to open the device; 0 to let it be opened.
        key_disabled: Whether the VMPCK is gone.
        openings: How often somebody asked to open the device.
        calls: Every ioctl so far.
    """

    machine: SimulatedMachine
    certificates: bytes
    vmpl: int = 0
    knows_extended: bool = True
    open_error: int = 0
    key_disabled: bool = False
    openings: int = 0
    calls: list[Call] = field(default_factory=list)
    _next: deque[Fault] = field(default_factory=deque)
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, machine: SimulatedMachine) -> SevGuestDriver:
        """Return the driver in this guest, whose host keeps the machine's certificates."""
        return cls(machine, machine.certificate_table())

    def fail(self, fault: Fault, times: int = 1) -> None:
        """Do this instead of the usual, for so many further requests."""
        self._next.extend([fault] * times)

    def reboot(self) -> None:
        """Launch the guest anew: it has its key again, and no fault is left."""
        self.machine = self.machine.reboot()
        self.key_disabled = False
        self._next.clear()

    def open(self) -> Answer:
        """Return whether the device can be opened."""
        with self._counting:
            self.openings += 1
        return Answer(self.open_error)

    def answer(self, call: Call) -> Answer:
        """Return the answer to an ioctl; one at a time, as the driver does."""
        with self._mutex:
            self.calls.append(call)
            if self.key_disabled:
                return refused(errno.ENOTTY)
            fault = self._next.popleft() if self._next else _no_fault
            found = fault(call, lambda: self._usual(call))
            self.key_disabled = found.loses_key
            return found

    def _usual(self, call: Call) -> Answer:
        known = {Number.GET_REPORT} | ({Number.GET_EXT_REPORT} if self.knows_extended else set())
        if not call.msg_version:
            return refused(errno.EINVAL)
        if call.number not in known:
            return refused(errno.ENOTTY)
        room = call.certificates_room
        if not _in_order(call):
            return refused(errno.EINVAL)
        needed = -(-len(self.certificates) // PAGE_SIZE) * PAGE_SIZE
        if call.number == Number.GET_EXT_REPORT and needed > room:
            return too_small(needed)
        if call.rsvd_used or not self.vmpl <= call.vmpl <= _MAX_VMPL:
            return Answer(response=response(b"", status=INVALID_PARAMETER))
        report = self.machine.attest(call.user_data, call.vmpl)
        table = self.certificates.ljust(room, b"\0") if room else b""
        return Answer(response=response(report), certificates=table)


def _in_order(call: Call) -> bool:
    room = call.certificates_room
    buffers = call.req_data and call.resp_data
    return bool(buffers) and room <= MAX_CERTIFICATES_SIZE and not room % PAGE_SIZE


def _no_fault(_: Call, usual: Usual) -> Answer:
    return usual()


def refused(
    error: int, *, fw_error: int = NO_FIRMWARE_CALL, vmm_error: int = 0, loses_key: bool = False
) -> Answer:
    """Return an answer that is a failure."""
    return Answer(error, exitinfo2=vmm_error << 32 | fw_error, loses_key=loses_key)


def too_small(needed: int) -> Answer:
    """Return the answer to a certificate buffer that is too small."""
    return Answer(errno.EIO, exitinfo2=INVALID_LEN << 32, certs_len=needed)


def response(report: bytes, *, status: int = 0, stated_size: int | None = None) -> bytes:
    """Return MSG_REPORT_RSP in the driver's 4,000 bytes (AMD 56860)."""
    size = len(report) if stated_size is None else stated_size
    return (struct.pack("<II24x", status, size) + report).ljust(_RESPONSE_SIZE, b"\0")
