"""The provider sev-guest in a process of its own, whose system calls meet the real ABI."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes import simulated
from nodeproof.sevsnp.certtable import (
    TableEntry,
    build_certificate_table,
    parse_certificate_table,
)
from nodeproof.sevsnp.verify import verify
from nodeproof.unavailability import Cause
from nodeproof_dev import sev_guest_faults as faults
from nodeproof_dev.process import clean_environment, wait_until
from nodeproof_dev.sev_guest_driver import Fault, SevGuestDriver
from nodeproof_dev.sev_guest_shim import SevGuestShim, compile_shim, why_not

pytestmark = pytest.mark.cc

DATA = bytes(range(64))
OTHER_DATA = bytes(reversed(range(64)))

_PROGRAM = Path(__file__).with_name("sev_guest_process.py")
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request: evidence, or why there is none."""

    report: bytes
    certificates: bytes
    cause: str
    message: str


class ProviderProcess:
    """A process with the provider; it lives through everything that a test does."""

    def __init__(self, environment: Mapping[str, str], *arguments: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, _PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment(environment),
            text=True,
        )

    def ask(self, report_data: bytes) -> None:
        """Begin a request."""
        assert self._process.stdin is not None
        self._process.stdin.write(report_data.hex() + "\n")
        self._process.stdin.flush()

    def outcome(self) -> Outcome:
        """Wait for what came of it."""
        assert self._process.stdout is not None
        found = json.loads(self._process.stdout.readline())
        return Outcome(
            report=bytes.fromhex(found.get("report", "")),
            certificates=bytes.fromhex(found.get("certificates", "")),
            cause=found.get("cause", ""),
            message=found.get("message", ""),
        )

    def attest(self, report_data: bytes = DATA) -> Outcome:
        """Make a request."""
        self.ask(report_data)
        return self.outcome()

    def end(self) -> None:
        """Let it end."""
        self._process.communicate(timeout=_END_SECONDS)


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := why_not():
        pytest.skip(reason)
    return compile_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def driver() -> SevGuestDriver:
    return SevGuestDriver.of(simulated.machine())


@pytest.fixture
def shim(binary: Path, driver: SevGuestDriver) -> Iterator[SevGuestShim]:
    with SevGuestShim(binary, driver) as running:
        yield running


Start = Callable[..., ProviderProcess]


@pytest.fixture
def start(shim: SevGuestShim) -> Iterator[Start]:
    with ExitStack() as ending:

        def start(patience: float = 60.0, certificates_size: int = 0x4000) -> ProviderProcess:
            arguments = (str(patience), str(certificates_size))
            process = ProviderProcess(shim.environment, *arguments)
            ending.callback(process.end)
            return process

        yield start


@pytest.fixture
def provider(start: Start) -> ProviderProcess:
    return start()


@pytest.fixture
def hang(driver: SevGuestDriver) -> Iterator[faults.Hang]:
    """A request that is not answered before it is released."""
    fault = faults.Hang()
    driver.fail(fault)
    yield fault
    fault.release()


def assert_recovered(provider: ProviderProcess) -> None:
    outcome = provider.attest(OTHER_DATA)
    assert outcome.report[0x50:0x90] == OTHER_DATA, outcome


def test_evidence_through_the_device_is_verified(provider: ProviderProcess) -> None:
    outcome = provider.attest()
    verify(
        outcome.report,
        parse_certificate_table(outcome.certificates),
        anchors=[simulated.authority().anchor()],
        now=simulated.NOW,
        report_data=DATA,
    )


def test_a_table_that_fills_the_largest_buffer_arrives_whole(
    provider: ProviderProcess, driver: SevGuestDriver
) -> None:
    driver.certificates = build_certificate_table({TableEntry.VCEK: b"\1" * (0x4000 - 48)})
    assert provider.attest().certificates == driver.certificates


def test_a_host_without_certificates_gives_the_report_alone(
    provider: ProviderProcess, driver: SevGuestDriver
) -> None:
    driver.certificates = b""
    outcome = provider.attest()
    assert (len(outcome.report), outcome.certificates) == (1184, b"")


def test_a_kernel_without_extended_requests_gives_the_report_alone(
    provider: ProviderProcess, driver: SevGuestDriver
) -> None:
    driver.knows_extended = False
    outcome = provider.attest()
    assert (len(outcome.report), outcome.certificates) == (1184, b"")


def test_grows_the_certificate_buffer(start: Start, driver: SevGuestDriver) -> None:
    assert start(certificates_size=4096).attest().certificates == driver.certificates
    assert [call.certs_len for call in driver.calls] == [4096, 8192]


# --- bad input: each ends in a cause, and the same process recovers


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EAGAIN])
def test_firmware_that_is_busy_for_a_moment_is_asked_again(
    error: int, provider: ProviderProcess, driver: SevGuestDriver
) -> None:
    driver.fail(faults.fails(error), times=2)
    assert_recovered(provider)
    assert len(driver.calls) == 3


@pytest.mark.parametrize(
    ("fault", "observed"),
    [
        (faults.fails(errno.EBUSY), "EBUSY"),
        (faults.fails(errno.EAGAIN), "EAGAIN"),
        (faults.throttled, "vmm_error 2"),
    ],
    ids=["EBUSY", "EAGAIN", "vmm_error 2"],
)
def test_firmware_that_stays_busy_is_left_alone_for_this_round(
    fault: Fault, observed: str, provider: ProviderProcess, driver: SevGuestDriver
) -> None:
    driver.fail(fault, times=5)
    outcome = provider.attest()
    assert outcome.cause == Cause.FIRMWARE_BUSY
    assert observed in outcome.message
    assert_recovered(provider)


def test_a_host_that_throttles_for_a_minute_costs_the_key(
    provider: ProviderProcess, driver: SevGuestDriver
) -> None:
    driver.fail(faults.throttled_for_a_minute)
    assert [provider.attest().cause for _ in range(2)] == [Cause.TIMED_OUT, Cause.KEY_DISABLED]
    driver.reboot()
    assert_recovered(provider)


def test_a_lost_key_is_told_as_such(provider: ProviderProcess, driver: SevGuestDriver) -> None:
    driver.key_disabled = True
    outcome = provider.attest()
    assert outcome.cause == Cause.KEY_DISABLED
    assert "/dev/sev-guest: ENOTTY" in outcome.message
    driver.reboot()
    assert_recovered(provider)


def test_an_answer_that_is_not_authentic_costs_the_key(
    provider: ProviderProcess, driver: SevGuestDriver
) -> None:
    driver.fail(faults.unauthentic)
    outcomes = [provider.attest() for _ in range(2)]
    assert [outcome.cause for outcome in outcomes] == [Cause.KEY_DISABLED, Cause.KEY_DISABLED]
    assert "EBADMSG" in outcomes[0].message
    assert "ENOTTY" in outcomes[1].message
    driver.reboot()
    assert_recovered(provider)


@pytest.mark.parametrize(
    ("fault", "cause", "observed"),
    [
        (faults.cut(0), Cause.REPORT_MALFORMED, "report_size 0"),
        (faults.cut(32 + 100), Cause.REPORT_MALFORMED, "REPORT_DATA"),
        (faults.states_size(1183), Cause.REPORT_MALFORMED, "report_size 1183"),
        (faults.answers_another, Cause.REPORT_MALFORMED, "REPORT_DATA"),
        (faults.answers_status(0x16), Cause.PRIVILEGE_REFUSED, "0x16 (invalid parameter)"),
        (faults.answers_status(0x27), Cause.FIRMWARE_ERROR, "0x27 (invalid key)"),
        (faults.fails(errno.EIO, fw_error=0x17), Cause.FIRMWARE_ERROR, "0x17 (resource limit)"),
    ],
    ids=["nothing", "short", "size", "other data", "status 0x16", "status 0x27", "fw_error"],
)
def test_an_answer_without_our_report_is_refused(
    fault: Fault, cause: Cause, observed: str, provider: ProviderProcess, driver: SevGuestDriver
) -> None:
    driver.fail(fault)
    outcome = provider.attest()
    assert outcome.cause == cause
    assert observed in outcome.message
    assert_recovered(provider)


def test_a_certificate_buffer_that_is_too_small_twice(start: Start, driver: SevGuestDriver) -> None:
    provider = start(certificates_size=4096)
    driver.fail(faults.outgrows, times=2)
    assert provider.attest().cause == Cause.CERTIFICATES_TOO_LARGE
    assert_recovered(provider)


def test_a_device_without_permission(provider: ProviderProcess, driver: SevGuestDriver) -> None:
    driver.open_error = errno.EACCES
    outcome = provider.attest()
    assert outcome.cause == Cause.PERMISSION_DENIED
    assert "/dev/sev-guest: EACCES (Permission denied)" in outcome.message
    driver.open_error = 0
    assert_recovered(provider)


def test_a_device_without_its_driver(provider: ProviderProcess, driver: SevGuestDriver) -> None:
    driver.open_error = errno.ENXIO
    assert provider.attest().cause == Cause.NO_PLATFORM
    driver.open_error = 0
    assert_recovered(provider)


def test_two_providers_take_turns(start: Start, driver: SevGuestDriver, hang: faults.Hang) -> None:
    first, second = start(), start()
    first.ask(DATA)
    assert hang.begun.wait(_END_SECONDS)
    second.ask(OTHER_DATA)
    # The first has opened the device twice, to lock and to ask; the second opens it to lock.
    wait_until(lambda: driver.openings == 3, seconds=_END_SECONDS, what="the second provider")
    assert len(driver.calls) == 1
    hang.release()
    assert first.outcome().report[0x50:0x90] == DATA
    assert second.outcome().report[0x50:0x90] == OTHER_DATA


def test_a_request_that_hangs(start: Start, driver: SevGuestDriver, hang: faults.Hang) -> None:
    provider = start(patience=0.5)
    assert provider.attest().cause == Cause.TIMED_OUT
    assert provider.attest().cause == Cause.TIMED_OUT
    assert len(driver.calls) == 1
    hang.release()
    wait_until(
        lambda: provider.attest().report != b"", seconds=_END_SECONDS, what="the hung provider"
    )
