"""The sev-guest driver's model behind a function instead of a system call."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable

from nodeproof_agent.providers.sev_guest_abi import ExtendedReportRequest, GuestRequest, Request
from nodeproof_dev.sev_guest_driver import INVALID_LEN, Answer, Call, Number, SevGuestDriver

_NUMBERS = {
    Request.SNP_GET_REPORT: Number.GET_REPORT,
    Request.SNP_GET_EXT_REPORT: Number.GET_EXT_REPORT,
}


def ioctl_of(driver: SevGuestDriver) -> Callable[[int, int, GuestRequest], None]:
    """Return a function that reads and writes the caller's memory as the driver does."""

    def ioctl(_: int, request: int, argument: GuestRequest) -> None:
        wanted = ExtendedReportRequest.from_address(argument.req_data)
        answer = driver.answer(_call(_NUMBERS[Request(request)], argument, wanted))
        _write(answer, argument, wanted)
        if answer.error:
            raise OSError(answer.error, errno.errorcode[answer.error])

    return ioctl


def _call(number: Number, argument: GuestRequest, wanted: ExtendedReportRequest) -> Call:
    return Call(
        number=number,
        msg_version=argument.msg_version,
        req_data=argument.req_data,
        resp_data=argument.resp_data,
        user_data=bytes(wanted.data.user_data),
        vmpl=wanted.data.vmpl,
        certs_len=wanted.certs_len,
        certs_address=wanted.certs_address,
        rsvd_used=any(wanted.data.rsvd),
    )


def _write(answer: Answer, argument: GuestRequest, wanted: ExtendedReportRequest) -> None:
    argument.exitinfo2 = answer.exitinfo2
    if answer.exitinfo2 >> 32 == INVALID_LEN:
        wanted.certs_len = answer.certs_len
    ctypes.memmove(argument.resp_data, answer.response, len(answer.response))
    ctypes.memmove(wanted.certs_address, answer.certificates, len(answer.certificates))
