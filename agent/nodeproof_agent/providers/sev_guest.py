"""Reports from ``/dev/sev-guest``, the SEV-SNP guest driver's device (Linux 5.19 and later).

An extended request gives the report together with the certificates that the host keeps for it. The
driver disables its key to the firmware (VMPCK) after most errors, for good; so a request is made as
it is most likely to succeed, with the largest buffer, and repeated only where that can help.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.files import read_bounded
from nodeproof_agent.providers import PlatformEvidence
from nodeproof_agent.providers.answers import check_report
from nodeproof_agent.providers.boot import boot_id
from nodeproof_agent.providers.pacing import Pacing
from nodeproof_agent.providers.sev_guest_abi import (
    MAX_CERTIFICATES_SIZE,
    MAX_VMPL,
    MESSAGE_VERSION,
    PAGE_SIZE,
    ExtendedReportRequest,
    GuestRequest,
    ReportResponse,
    Request,
    certificate_table,
)
from nodeproof_agent.providers.sev_guest_refusals import (
    Reaction,
    Refusal,
    refusal,
    refusal_in,
    refusal_to_open,
)

DEVICE = Path("/dev/sev-guest")
"""The driver's device node; its owner is root, its mode 0600."""

VMPL_FILE = Path("/sys/devices/system/cpu/sev/vmpl")
"""The level that the kernel runs at, in decimal (Linux 6.11 and later)."""

ATTEMPTS = 5
"""How often a busy firmware is asked in one round; the turns keep two seconds between them."""

_MAX_VMPL_BYTES = 16


def _ioctl(device: int, request: int, argument: GuestRequest) -> None:
    fcntl.ioctl(device, request, argument)


class SevGuestDevice:
    """The device, opened anew for every request: a driver that is loaded late is seen at once.

    Attributes:
        name: The provider's name in logs and metrics.
    """

    name = "sev-guest"

    def __init__(
        self,
        path: Path = DEVICE,
        *,
        vmpl: int | None = None,
        pacing: Pacing | None = None,
        certificates_size: int = MAX_CERTIFICATES_SIZE,
        vmpl_file: Path = VMPL_FILE,
        ioctl: Callable[[int, int, GuestRequest], None] = _ioctl,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            path: The device.
            vmpl: The privilege level to state in reports; the kernel's own if left out.
            pacing: Whose turn it is; by default turns are taken by locking the device.
            certificates_size: Bytes of the first certificate buffer, whole pages.
            vmpl_file: Where the kernel tells its own level.
            ioctl: The system call.
        """
        self._path = path
        self._vmpl = vmpl
        self._pacing = pacing or Pacing(path)
        self._certificates_size = certificates_size
        self._vmpl_file = vmpl_file
        self._ioctl = ioctl

    def boot_id(self) -> str:
        """Return the ID of this boot.

        Raises:
            ProviderFailed: The kernel does not give one.
        """
        return boot_id()

    def attest(self, report_data: bytes) -> PlatformEvidence:
        """Return a report over these 64 bytes, with the host's certificates if it has any.

        Raises:
            ProviderFailed: There is none; the cause says why.
        """
        vmpl = kernel_vmpl(self._vmpl_file) if self._vmpl is None else self._vmpl
        exchange = self._extended(report_data, vmpl) or self._plain(report_data, vmpl)
        report = exchange.report
        check_report(report, report_data)
        return PlatformEvidence(report=report, certificates=exchange.certificates)

    def _extended(self, report_data: bytes, vmpl: int) -> _Exchange | None:
        """Return a report with certificates; None if one without has to be asked for."""
        exchange = _Exchange(report_data, vmpl, self._certificates_size)
        refused = self._ask(Request.SNP_GET_EXT_REPORT, exchange)
        if refused and refused.reaction is Reaction.ENLARGE:
            if not exchange.certificates_needed:
                return None
            exchange = _Exchange(report_data, vmpl, _enlarged(exchange))
            refused = self._ask(Request.SNP_GET_EXT_REPORT, exchange)
        if refused is None:
            return exchange
        if refused.reaction is Reaction.ASK_PLAINLY:
            return None
        raise self._failure(refused)

    def _plain(self, report_data: bytes, vmpl: int) -> _Exchange:
        exchange = _Exchange(report_data, vmpl, 0)
        refused = self._ask(Request.SNP_GET_REPORT, exchange)
        if refused:
            raise self._failure(refused)
        return exchange

    def _ask(self, request: Request, exchange: _Exchange) -> Refusal | None:
        """Make a request, again while the firmware is busy; return why it is refused."""
        refused = self._ask_once(request, exchange)
        for _ in range(ATTEMPTS - 1):
            if refused is None or refused.reaction is not Reaction.ASK_AGAIN:
                break
            refused = self._ask_once(request, exchange)
        return refused

    def _ask_once(self, request: Request, exchange: _Exchange) -> Refusal | None:
        try:
            with self._pacing.turn(), _opened(self._path) as device:
                return self._call(device, request, exchange)
        except OSError as error:
            return refusal_to_open(error.errno or 0)

    def _call(self, device: int, request: Request, exchange: _Exchange) -> Refusal | None:
        argument = exchange.argument()
        try:
            self._ioctl(device, request, argument)
        except OSError as error:
            return refusal(error.errno or 0, argument.exitinfo2)
        return exchange.refusal

    def _failure(self, refused: Refusal) -> ProviderFailed:
        observed = f"{self._path}: {refused.observed}"
        return ProviderFailed(refused.message, cause=refused.cause, observed=observed)


class _Exchange:
    """One request and its answer, in page-aligned memory that lives as long as this does."""

    def __init__(self, report_data: bytes, vmpl: int, certificates_size: int) -> None:
        pages = mmap.mmap(
            -1, 2 * PAGE_SIZE + certificates_size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
        self._response = ReportResponse.from_buffer(pages)
        self._request = ExtendedReportRequest.from_buffer(pages, PAGE_SIZE)
        self._certificates = (ctypes.c_char * certificates_size).from_buffer(pages, 2 * PAGE_SIZE)
        self._request.data.user_data[:] = list(report_data)
        self._request.data.vmpl = vmpl
        self._request.certs_address = ctypes.addressof(self._certificates)
        self._request.certs_len = certificates_size

    @property
    def report(self) -> bytes:
        return bytes(self._response.report)

    @property
    def certificates(self) -> bytes:
        return certificate_table(self._certificates.raw)

    @property
    def certificates_size(self) -> int:
        return len(self._certificates)

    @property
    def certificates_needed(self) -> int:
        """Bytes of the buffer that the host asks for, once it has refused ours."""
        return self._request.certs_len

    @property
    def refusal(self) -> Refusal | None:
        """Why the firmware's answer holds no report."""
        return refusal_in(self._response)

    def argument(self) -> GuestRequest:
        """Return what the ioctl takes: it points into this object's memory."""
        return GuestRequest(
            msg_version=MESSAGE_VERSION,
            req_data=ctypes.addressof(self._request),
            resp_data=ctypes.addressof(self._response),
        )


def _enlarged(exchange: _Exchange) -> int:
    """Return the size of the buffer that the host asks for, if the driver takes one so large."""
    needed = exchange.certificates_needed
    if exchange.certificates_size < needed <= MAX_CERTIFICATES_SIZE:
        return needed
    raise ProviderFailed(
        "the host's certificates fit into no buffer that the driver takes",
        cause=Cause.CERTIFICATES_TOO_LARGE,
        expected=f"at most {MAX_CERTIFICATES_SIZE} bytes",
        observed=f"{needed} bytes asked for after {exchange.certificates_size}",
    )


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield device
    finally:
        os.close(device)


def kernel_vmpl(path: Path = VMPL_FILE) -> int:
    """Return the privilege level that the kernel runs at; 0 if it does not say."""
    try:
        level = int(read_bounded(path, _MAX_VMPL_BYTES))
    except (OSError, ValueError):
        return 0
    return level if 0 <= level <= MAX_VMPL else 0
