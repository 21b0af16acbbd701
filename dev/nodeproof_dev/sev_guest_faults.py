"""What can be wrong with the sev-guest driver: each fault gives another answer than the usual."""

from __future__ import annotations

import errno
import threading
from dataclasses import replace

from nodeproof_dev.sev_guest_driver import (
    BUSY,
    PAGE_SIZE,
    Answer,
    Call,
    Fault,
    Number,
    Usual,
    refused,
    response,
    too_small,
)

_HEAD_SIZE = 32
_REPORT_DATA = slice(_HEAD_SIZE + 0x50, _HEAD_SIZE + 0x90)


class Hang:
    """Answers nothing until it is released, then as usual."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._released = threading.Event()

    def __call__(self, _: Call, usual: Usual) -> Answer:
        """Wait."""
        self.begun.set()
        self._released.wait()
        return usual()

    def release(self) -> None:
        """Let everybody who waits have an answer."""
        self._released.set()


def fails(
    error: int, *, fw_error: int = 0xFF, vmm_error: int = 0, loses_key: bool = False
) -> Fault:
    """Fail with an error number and these codes."""
    answer = refused(error, fw_error=fw_error, vmm_error=vmm_error, loses_key=loses_key)
    return lambda *_: answer


def throttled(call: Call, usual: Usual) -> Answer:
    """Fail as old drivers did when the host throttled, their key kept."""
    return fails(errno.EIO, vmm_error=BUSY)(call, usual)


def throttled_for_a_minute(call: Call, usual: Usual) -> Answer:
    """Fail as newer drivers do once they have asked the host for sixty seconds."""
    return fails(errno.ETIMEDOUT, vmm_error=BUSY, loses_key=True)(call, usual)


def unauthentic(call: Call, usual: Usual) -> Answer:
    """Fail since the response cannot be decrypted: the driver disables its key."""
    return fails(errno.EBADMSG, fw_error=0, loses_key=True)(call, usual)


def answers_status(status: int) -> Fault:
    """Let the firmware answer, with a status instead of a report."""
    return lambda *_: Answer(response=response(b"", status=status))


def states_size(size: int) -> Fault:
    """State another ``report_size`` than the report has."""

    def stated(_: Call, usual: Usual) -> Answer:
        answer = usual()
        whole = answer.response
        return replace(answer, response=whole[:4] + size.to_bytes(4, "little") + whole[8:])

    return stated


def cut(size: int) -> Fault:
    """Write the first bytes of the response alone; the rest stays as it was."""

    def shortened(_: Call, usual: Usual) -> Answer:
        answer = usual()
        return replace(answer, response=answer.response[:size])

    return shortened


def answers_another(_: Call, usual: Usual) -> Answer:
    """Hand out a report over other data than was asked for."""
    answer = usual()
    whole = bytearray(answer.response)
    whole[_REPORT_DATA] = bytes(_REPORT_DATA.stop - _REPORT_DATA.start)
    return replace(answer, response=bytes(whole))


def outgrows(call: Call, usual: Usual) -> Answer:
    """Need one page more for the certificates than the caller has, whatever it has."""
    if call.number != Number.GET_EXT_REPORT:
        return usual()
    return too_small(call.certs_len + PAGE_SIZE)
