"""The driver's binary interface: ``<linux/sev-guest.h>`` of Linux 6.3 and later, x86-64.

Pure: memory layouts and ioctl numbers. Structures bear the header's field names; what the header
leaves open, the firmware's answer, is MSG_REPORT_RSP (AMD 56860).
"""

from __future__ import annotations

import ctypes
import struct
from enum import IntEnum

from nodeproof.binding import REPORT_DATA_SIZE
from nodeproof_agent.providers.answers import REPORT_SIZE

PAGE_SIZE = 4096
"""Bytes of a page; certificates are handed out in whole ones."""

MAX_CERTIFICATES_SIZE = 0x4000
"""Bytes of the largest certificate buffer that the driver takes (SEV_FW_BLOB_MAX_SIZE)."""

MESSAGE_VERSION = 1
"""The version of MSG_REPORT_REQ (AMD 56860)."""

MAX_VMPL = 3
"""The least privileged VMPL."""


class ReportRequest(ctypes.Structure):
    """``struct snp_report_req``, 96 bytes."""

    user_data: ctypes.Array[ctypes.c_uint8]
    """64 bytes: becomes REPORT_DATA."""
    vmpl: int
    rsvd: ctypes.Array[ctypes.c_uint8]

    _fields_ = (
        ("user_data", ctypes.c_uint8 * REPORT_DATA_SIZE),
        ("vmpl", ctypes.c_uint32),
        ("rsvd", ctypes.c_uint8 * 28),
    )


class ExtendedReportRequest(ctypes.Structure):
    """``struct snp_ext_report_req``, 112 bytes; its beginning serves as the plain request too."""

    data: ReportRequest
    certs_address: int
    certs_len: int
    """Bytes of the buffer; of a buffer that is needed, after VMM error 1."""

    _fields_ = (
        ("data", ReportRequest),
        ("certs_address", ctypes.c_uint64),
        ("certs_len", ctypes.c_uint32),
    )


class ReportResponse(ctypes.Structure):
    """``struct snp_report_resp``, 4,000 bytes, which hold MSG_REPORT_RSP."""

    status: int
    report_size: int
    report: ctypes.Array[ctypes.c_uint8]

    _fields_ = (
        ("status", ctypes.c_uint32),
        ("report_size", ctypes.c_uint32),
        ("rsvd", ctypes.c_uint8 * 24),
        ("report", ctypes.c_uint8 * REPORT_SIZE),
        ("rest", ctypes.c_uint8 * (4000 - 32 - REPORT_SIZE)),
    )


class GuestRequest(ctypes.Structure):
    """``struct snp_guest_request_ioctl``, 32 bytes: the argument of every ioctl."""

    msg_version: int
    req_data: int
    resp_data: int
    exitinfo2: int
    """``fw_error`` in the lower 32 bits, ``vmm_error`` above; read only after a failure."""

    _fields_ = (
        ("msg_version", ctypes.c_uint8),
        ("req_data", ctypes.c_uint64),
        ("resp_data", ctypes.c_uint64),
        ("exitinfo2", ctypes.c_uint64),
    )


def _iowr(number: int) -> int:
    """Return ``_IOWR('S', number, struct snp_guest_request_ioctl)`` (asm-generic/ioctl.h)."""
    read_and_write = 3
    return read_and_write << 30 | ctypes.sizeof(GuestRequest) << 16 | ord("S") << 8 | number


class Request(IntEnum):
    """The ioctls that give a report."""

    SNP_GET_REPORT = _iowr(0x0)
    SNP_GET_EXT_REPORT = _iowr(0x2)


_ENTRY = struct.Struct("<16sII")
"""An entry of the certificate table (AMD 56421): GUID, offset, length."""

_END = bytes(_ENTRY.size)


def certificate_table(buffer: bytes) -> bytes:
    """Return the table in a certificate buffer without the zeros behind it.

    No certificates are no bytes. A table that is not one is returned whole: the operator judges it.
    """
    end = 0
    for position in range(0, len(buffer) - _ENTRY.size + 1, _ENTRY.size):
        entry = buffer[position : position + _ENTRY.size]
        if entry == _END:
            return buffer[: max(end, position + _ENTRY.size)] if position else b""
        _, offset, length = _ENTRY.unpack(entry)
        end = max(end, offset + length)
    return buffer
