"""What it means that ``/dev/sev-guest`` gives no report: error numbers and codes into causes.

Pure. An error has three layers: ``errno``, the codes of host and firmware in ``exitinfo2``, and the
status in an answer that came through.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from types import MappingProxyType

from nodeproof.unavailability import Cause
from nodeproof_agent.providers.answers import REPORT_SIZE
from nodeproof_agent.providers.sev_guest_abi import ReportResponse

NO_FIRMWARE_CALL = 0xFF
"""What the driver puts into ``fw_error`` beforehand (SEV_RET_NO_FW_CALL)."""


class VMMError(IntEnum):
    """What the host answers instead of passing a request on (GHCB, SNP_GUEST_VMM_ERR_…)."""

    INVALID_LEN = 1
    BUSY = 2


FIRMWARE_STATUS: Mapping[int, str] = MappingProxyType(
    {
        0x00: "success",
        0x01: "invalid platform state",
        0x02: "invalid guest state",
        0x03: "invalid configuration",
        0x04: "invalid length",
        0x05: "already owned",
        0x06: "invalid certificate",
        0x07: "policy failure",
        0x08: "inactive",
        0x09: "invalid address",
        0x0A: "bad signature",
        0x0B: "bad measurement",
        0x0C: "ASID owned",
        0x0D: "invalid ASID",
        0x0E: "WBINVD required",
        0x0F: "DF_FLUSH required",
        0x10: "invalid guest",
        0x11: "invalid command",
        0x12: "active",
        0x13: "hardware error, platform safe",
        0x14: "hardware error, platform unsafe",
        0x15: "unsupported",
        0x16: "invalid parameter",
        0x17: "resource limit",
        0x18: "secure data invalid",
        0x19: "invalid page size",
        0x1A: "invalid page state",
        0x1B: "invalid metadata entry",
        0x1C: "invalid page owner",
        0x1D: "AEAD overflow",
        0x1F: "ring buffer mode exited",
        0x20: "RMP initialisation required",
        0x21: "bad SVN",
        0x22: "bad version",
        0x23: "shutdown required",
        0x24: "update failed",
        0x25: "restore required",
        0x26: "RMP initialisation failed",
        0x27: "invalid key",
        NO_FIRMWARE_CALL: "the firmware was not called",
    }
)
"""Status codes of the firmware (AMD 56860, status codes)."""

INVALID_PARAMETER = 0x16
"""The status of a request whose VMPL is below the guest's own."""


class Reaction(Enum):
    """What a caller does about a refusal."""

    GIVE_UP = auto()
    ASK_AGAIN = auto()
    ENLARGE = auto()
    """Ask again with the certificate buffer that the driver has put into ``certs_len``."""
    ASK_PLAINLY = auto()
    """Ask for a report alone: it may be that only extended requests are not known."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the device gave no report.

    Attributes:
        cause: The same in the words of the whole project.
        message: A sentence for people.
        observed: The codes, with their names.
        reaction: What to do about it.
    """

    cause: Cause
    message: str
    observed: str = ""
    reaction: Reaction = Reaction.GIVE_UP


_OPEN: Mapping[int, tuple[Cause, str]] = MappingProxyType(
    {
        errno.ENOENT: (Cause.NO_PLATFORM, "there is no device of the sev-guest driver"),
        errno.ENOTDIR: (Cause.NO_PLATFORM, "there is no device of the sev-guest driver"),
        errno.ENXIO: (Cause.NO_PLATFORM, "no driver is behind the device"),
        errno.ENODEV: (Cause.NO_PLATFORM, "no driver is behind the device"),
        errno.EACCES: (Cause.PERMISSION_DENIED, "the device may not be opened"),
        errno.EPERM: (Cause.PERMISSION_DENIED, "the device may not be opened"),
        errno.EBUSY: (Cause.FIRMWARE_BUSY, "the device is in use"),
    }
)

_BUSY = Refusal(
    Cause.FIRMWARE_BUSY, "the firmware is busy, or the host throttles", reaction=Reaction.ASK_AGAIN
)
_DENIED = Refusal(Cause.PERMISSION_DENIED, "the driver may not be asked")
_ASKED: Mapping[int, Refusal] = MappingProxyType(
    {
        errno.EAGAIN: _BUSY,
        errno.EBUSY: _BUSY,
        errno.EINTR: _BUSY,
        errno.EACCES: _DENIED,
        errno.EPERM: _DENIED,
        errno.ENXIO: Refusal(Cause.NO_PLATFORM, "no driver is behind the device"),
        errno.ENODEV: Refusal(Cause.NO_PLATFORM, "no driver is behind the device"),
        # The driver asks the host every 2 s for 60 s, then gives up its key as well.
        errno.ETIMEDOUT: Refusal(
            Cause.TIMED_OUT, "the host throttled until the driver gave up, and perhaps its key"
        ),
        errno.EBADMSG: Refusal(
            Cause.KEY_DISABLED, "the firmware's answer was not authentic, so the key is disabled"
        ),
        # Also the answer to an ioctl that the driver does not know.
        errno.ENOTTY: Refusal(
            Cause.KEY_DISABLED,
            "the driver has disabled its key to the firmware (VMPCK)",
            reaction=Reaction.ASK_PLAINLY,
        ),
    }
)


def refusal_to_open(error: int) -> Refusal:
    """Return what it means that the device cannot be opened."""
    cause, message = _OPEN.get(error, (Cause.INTERNAL_ERROR, "the device cannot be opened"))
    return Refusal(cause, message, _errno_text(error))


def refusal(error: int, exitinfo2: int) -> Refusal:
    """Return what the error of a failed ioctl means.

    Args:
        error: ``errno``.
        exitinfo2: The request's member of that name, after the call.
    """
    observed = _errno_text(error)
    if error == errno.EIO:
        fw_error, vmm_error = exitinfo2 & 0xFFFFFFFF, exitinfo2 >> 32
        observed = f"{observed}, fw_error {firmware_status(fw_error)}, vmm_error {vmm_error}"
        known = _input_output_error(fw_error, vmm_error)
    else:
        fallback = Refusal(Cause.INTERNAL_ERROR, "the driver refused the request")
        known = _ASKED.get(error, fallback)
    return Refusal(known.cause, known.message, observed, known.reaction)


def _input_output_error(fw_error: int, vmm_error: int) -> Refusal:
    if vmm_error == VMMError.INVALID_LEN:
        return Refusal(
            Cause.CERTIFICATES_TOO_LARGE,
            "the host's certificates do not fit into the buffer",
            reaction=Reaction.ENLARGE,
        )
    if vmm_error == VMMError.BUSY:
        return _BUSY
    if fw_error in {0, NO_FIRMWARE_CALL}:
        message = "the host did not pass the request on to the firmware"
        return Refusal(Cause.FIRMWARE_ERROR, message)
    return Refusal(Cause.FIRMWARE_ERROR, "the firmware refused the request")


def refusal_in(response: ReportResponse) -> Refusal | None:
    """Return why the firmware's answer holds no report; None if it holds one."""
    if response.status:
        return _refused_status(response.status)
    if response.report_size != REPORT_SIZE:
        return Refusal(
            Cause.REPORT_MALFORMED,
            f"the firmware's answer holds no report of {REPORT_SIZE} bytes",
            f"report_size {response.report_size}",
        )
    return None


def _refused_status(status: int) -> Refusal:
    observed = f"status {firmware_status(status)}"
    if status == INVALID_PARAMETER:
        message = "the firmware refused the request's VMPL: it is below the guest's own"
        return Refusal(Cause.PRIVILEGE_REFUSED, message, observed)
    return Refusal(Cause.FIRMWARE_ERROR, "the firmware made no report", observed)


def firmware_status(code: int) -> str:
    """Return a firmware status as ``0x16 (invalid parameter)``."""
    return f"{code:#04x} ({FIRMWARE_STATUS.get(code, 'unknown')})"


def _errno_text(error: int) -> str:
    return f"{errno.errorcode.get(error, error)} ({os.strerror(error)})"
