"""Reports from configfs-tsm, the kernel's own interface since Linux 6.7; needs no device.

Every request has an entry of its own, which is removed again whatever happens. The kernel counts
what is written to an entry, so that nobody else's request can pass for ours.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from nodeproof.protocol import MAX_CERTIFICATE_TABLE_BYTES
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers import PlatformEvidence, boot, tsm_entry
from nodeproof_agent.providers.answers import REPORT_SIZE, check_report
from nodeproof_agent.providers.pacing import Pacing
from nodeproof_agent.providers.tsm_entry import Entry, Files, refused

ROOT = Path("/sys/kernel/config/tsm/report")
"""Where entries are made, if configfs is mounted where it always is."""

SEV_GUEST = "sev_guest"
"""What the attribute ``provider`` says where reports are SEV-SNP's."""

RETRY_SECONDS = 20.0
"""How long an answer that may pass (busy, interfered with) is asked for again."""

_PASSING = frozenset({Cause.FIRMWARE_BUSY, Cause.INTERFERED})
_MAX_REMOVED = 32
_OUR_NAME = re.compile(r"nodeproof-\d+-[0-9a-f]{16}")

_log = structlog.get_logger()


class ConfigfsTSM:
    """The provider ``configfs-tsm``."""

    name = "configfs-tsm"

    def __init__(
        self,
        root: Path = ROOT,
        vmpl: int | None = None,
        *,
        boot_id_file: Path = boot.BOOT_ID_FILE,
        files: Files | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Ask through this directory.

        Args:
            root: The directory ``tsm/report`` of a configfs.
            vmpl: The privilege level to ask for, 0 to 3; by default the lowest that is allowed,
                which is the one that the guest runs at.
            boot_id_file: Where the kernel gives the boot ID.
            files: How to reach the directory.
            clock: Monotonic seconds.
            sleep: Waits so many seconds.
        """
        self._root = root
        self._vmpl = vmpl
        self._boot_id_file = boot_id_file
        self._files = files or Files()
        self._clock = clock
        self._pacing = Pacing(root, clock=clock, sleep=sleep)
        self._entries_left = True

    def boot_id(self) -> str:
        """Return the ID of this boot.

        Raises:
            ProviderFailed: The kernel does not give one.
        """
        return boot.boot_id(self._boot_id_file)

    def probe(self) -> None:
        """Make an entry, see that its reports are SEV-SNP's, remove it; asks no firmware.

        Raises:
            ProviderFailed: There is no use in asking for a report, and why.
        """
        with self._translated(), self._pacing.lock(), self._entry() as entry:
            _check_provider(entry)
            _level(entry, self._vmpl)

    def attest(self, report_data: bytes) -> PlatformEvidence:
        """Return a report over these 64 bytes; asks again while what is wrong may pass.

        Raises:
            ProviderFailed: There is none, and why.
        """
        deadline = self._clock() + RETRY_SECONDS
        while True:
            try:
                return self._ask(report_data)
            except ProviderFailed as failure:
                if failure.cause not in _PASSING or self._clock() >= deadline:
                    raise
                _log.info(
                    "asking the platform again",
                    reason=failure.cause.value,
                    message=failure.message,
                    observed=failure.observed,
                )

    def _ask(self, report_data: bytes) -> PlatformEvidence:
        with self._translated(), self._pacing.turn() as alone:
            if alone and self._entries_left:
                self._remove_entries_left()
            with self._entry() as entry:
                return _transact(entry, report_data, self._vmpl)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Say what errors around an entry mean; those of its attributes are translated there."""
        try:
            yield
        except OSError as error:
            raise refused(error, f"make an entry in {self._root}", tsm_entry.MAKING) from error

    @contextmanager
    def _entry(self) -> Iterator[Entry]:
        path = self._root / f"nodeproof-{os.getpid()}-{secrets.token_hex(8)}"
        self._files.make(path)
        try:
            yield Entry(path, self._files)
        finally:
            self._remove(path)

    def _remove(self, path: Path) -> None:
        """Remove an entry; if that fails it is tried again with the next request."""
        try:
            self._files.remove(path)
        except FileNotFoundError:
            return
        except OSError as error:
            self._entries_left = True
            _log.warning("cannot remove an entry", path=str(path), observed=str(error))

    def _remove_entries_left(self) -> None:
        """Remove what killed agents have left behind.

        The name says whose it was. A process ID says nothing, since every container counts its own;
        but whoever is at work holds the lock that we hold now.
        """
        self._entries_left = False
        names = list(filter(_OUR_NAME.fullmatch, self._files.names(self._root)))[:_MAX_REMOVED]
        if names:
            _log.info("removing entries that were left behind", path=str(self._root), names=names)
        for name in names:
            self._remove(self._root / name)


def _transact(entry: Entry, report_data: bytes, vmpl: int | None) -> PlatformEvidence:
    """Write the request, read the answer, and see that nobody else has written."""
    _check_provider(entry)
    level, before = _level(entry, vmpl), entry.number("generation")
    entry.write("privlevel", b"%d" % level, tsm_entry.LEVEL)
    entry.write("inblob", report_data)
    _check_generation(entry, before + 2)
    report = entry.read("outblob", REPORT_SIZE)
    certificates = entry.read("auxblob", MAX_CERTIFICATE_TABLE_BYTES, tsm_entry.CERTIFICATES)
    _check_generation(entry, before + 2)
    check_report(report, report_data)
    _check_certificates(certificates)
    return PlatformEvidence(report, certificates)


def _check_provider(entry: Entry) -> None:
    observed = entry.provider()
    if observed != SEV_GUEST:
        raise ProviderFailed(
            "configfs-tsm: the reports are not SEV-SNP's",
            cause=Cause.PROVIDER_MISSING,
            expected=SEV_GUEST,
            observed=observed,
        )


def _level(entry: Entry, vmpl: int | None) -> int:
    floor = entry.number("privlevel_floor")
    if vmpl is None:
        return floor
    if vmpl < floor:
        raise ProviderFailed(
            "configfs-tsm: the guest may not ask for this privilege level",
            cause=Cause.PRIVILEGE_REFUSED,
            expected=f"VMPL {floor} or a higher number",
            observed=f"VMPL {vmpl}",
        )
    return vmpl


def _check_generation(entry: Entry, expected: int) -> None:
    observed = entry.number("generation")
    if observed != expected:
        raise ProviderFailed(
            "configfs-tsm: what was written to the entry is not what we wrote",
            cause=Cause.INTERFERED,
            expected=f"generation {expected}",
            observed=f"generation {observed}",
        )


def _check_certificates(table: bytes) -> None:
    if len(table) > MAX_CERTIFICATE_TABLE_BYTES:
        raise ProviderFailed(
            "configfs-tsm: the host's certificate table is too large",
            cause=Cause.CERTIFICATES_TOO_LARGE,
            expected=f"at most {MAX_CERTIFICATE_TABLE_BYTES} bytes",
            observed=f"more than {MAX_CERTIFICATE_TABLE_BYTES} bytes",
        )
