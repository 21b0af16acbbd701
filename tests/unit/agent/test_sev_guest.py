"""The provider sev-guest over the model of the driver, within this process."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes import simulated
from fakes.blocking_time import BlockingTime
from fakes.sev_guest_ioctl import ioctl_of
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers.pacing import INTERVAL_SECONDS, Pacing
from nodeproof_agent.providers.sev_guest import ATTEMPTS, SevGuestDevice, kernel_vmpl
from nodeproof_dev import sev_guest_faults as faults
from nodeproof_dev.sev_guest_driver import Number, SevGuestDriver, too_small

DATA = bytes(range(64))

Make = Callable[..., SevGuestDevice]


@pytest.fixture(scope="module")
def machine() -> SimulatedMachine:
    return simulated.machine()


@pytest.fixture
def driver(machine: SimulatedMachine) -> SevGuestDriver:
    return SevGuestDriver.of(machine)


@pytest.fixture
def clock() -> BlockingTime:
    return BlockingTime()


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "sev-guest"
    path.touch()
    return path


@pytest.fixture
def make(device: Path, driver: SevGuestDriver, clock: BlockingTime, tmp_path: Path) -> Make:
    def made(
        vmpl: int | None = None, certificates_size: int = 0x4000, path: Path = device
    ) -> SevGuestDevice:
        return SevGuestDevice(
            path,
            vmpl=vmpl,
            pacing=Pacing(path, clock=clock, sleep=clock.sleep),
            certificates_size=certificates_size,
            vmpl_file=tmp_path / "vmpl",
            ioctl=ioctl_of(driver),
        )

    return made


@pytest.fixture
def provider(make: Make) -> SevGuestDevice:
    return make()


def failure(provider: SevGuestDevice) -> ProviderFailed:
    with pytest.raises(ProviderFailed) as caught:
        provider.attest(DATA)
    return caught.value


def numbers(driver: SevGuestDriver) -> list[int]:
    return [call.number for call in driver.calls]


def test_gives_a_report_over_what_was_asked(provider: SevGuestDevice) -> None:
    evidence = provider.attest(DATA)
    assert len(evidence.report) == 1184
    assert evidence.report[0x50:0x90] == DATA


def test_gives_the_certificates_of_the_host(
    provider: SevGuestDevice, machine: SimulatedMachine
) -> None:
    assert provider.attest(DATA).certificates == machine.certificate_table()


def test_one_request_gives_both(provider: SevGuestDevice, driver: SevGuestDriver) -> None:
    provider.attest(DATA)
    assert numbers(driver) == [Number.GET_EXT_REPORT]


def test_hands_whole_pages_to_the_driver(provider: SevGuestDevice, driver: SevGuestDriver) -> None:
    provider.attest(DATA)
    call = driver.calls[0]
    assert call.certs_len == 0x4000
    assert [call.certs_address % 4096, call.req_data % 4096, call.resp_data % 4096] == [0, 0, 0]


def test_leaves_no_descriptor_open(provider: SevGuestDevice) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    provider.attest(DATA)
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_host_without_certificates_gives_the_report_alone(
    provider: SevGuestDevice, driver: SevGuestDriver
) -> None:
    driver.certificates = b""
    evidence = provider.attest(DATA)
    assert (len(evidence.report), evidence.certificates) == (1184, b"")


def test_a_kernel_without_extended_requests_gives_the_report_alone(
    provider: SevGuestDevice, driver: SevGuestDriver
) -> None:
    driver.knows_extended = False
    assert provider.attest(DATA).certificates == b""
    assert numbers(driver) == [Number.GET_EXT_REPORT, Number.GET_REPORT]


def test_a_host_that_asks_for_no_buffer_at_all_is_asked_for_the_report_alone(
    provider: SevGuestDevice, driver: SevGuestDriver
) -> None:
    driver.fail(faults.fails(errno.EIO, vmm_error=1))
    assert provider.attest(DATA).certificates == b""
    assert driver.calls[-1].number == Number.GET_REPORT


def test_grows_the_buffer_to_what_the_host_asks_for(
    make: Make, driver: SevGuestDriver, machine: SimulatedMachine
) -> None:
    evidence = make(certificates_size=4096).attest(DATA)
    assert [call.certs_len for call in driver.calls] == [4096, 8192]
    assert evidence.certificates == machine.certificate_table()


def test_a_buffer_that_is_too_small_twice_is_the_end(make: Make, driver: SevGuestDriver) -> None:
    driver.fail(faults.outgrows, times=2)
    assert failure(make(certificates_size=4096)).cause is Cause.CERTIFICATES_TOO_LARGE
    assert [call.certs_len for call in driver.calls] == [4096, 8192]


def test_certificates_beyond_the_driver_s_limit_are_not_asked_for_again(
    provider: SevGuestDevice, driver: SevGuestDriver
) -> None:
    driver.certificates = bytes(0x4001)
    found = failure(provider)
    assert found.cause is Cause.CERTIFICATES_TOO_LARGE
    assert found.expected == "at most 16384 bytes"
    assert found.observed == "20480 bytes asked for after 16384"
    assert len(driver.calls) == 1


def test_a_host_that_asks_for_a_smaller_buffer_is_not_obeyed(
    provider: SevGuestDevice, driver: SevGuestDriver
) -> None:
    driver.fail(lambda *_: too_small(4096))
    assert failure(provider).cause is Cause.CERTIFICATES_TOO_LARGE
    assert len(driver.calls) == 1


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.EBUSY, errno.EINTR])
def test_asks_busy_firmware_again_after_the_interval(
    error: int, provider: SevGuestDevice, driver: SevGuestDriver, clock: BlockingTime
) -> None:
    driver.fail(faults.fails(error), times=2)
    assert provider.attest(DATA).report
    assert clock.slept == [INTERVAL_SECONDS, INTERVAL_SECONDS]


def test_a_throttling_host_is_asked_a_bounded_number_of_times(
    provider: SevGuestDevice, driver: SevGuestDriver
) -> None:
    driver.fail(faults.throttled, times=100)
    assert failure(provider).cause is Cause.FIRMWARE_BUSY
    assert len(driver.calls) == ATTEMPTS


def test_a_firmware_error_is_not_asked_again(
    provider: SevGuestDevice, driver: SevGuestDriver
) -> None:
    driver.fail(faults.fails(errno.EIO, fw_error=0x17))
    found = failure(provider)
    assert found.cause is Cause.FIRMWARE_ERROR
    assert "0x17 (resource limit)" in found.observed
    assert len(driver.calls) == 1


def test_a_lost_key_is_told_apart_from_a_kernel_without_extended_requests(
    provider: SevGuestDevice, driver: SevGuestDriver
) -> None:
    driver.key_disabled = True
    assert failure(provider).cause is Cause.KEY_DISABLED
    assert numbers(driver) == [Number.GET_EXT_REPORT, Number.GET_REPORT]


def test_a_report_over_other_data_is_refused(
    provider: SevGuestDevice, driver: SevGuestDriver
) -> None:
    driver.fail(faults.answers_another)
    assert failure(provider).cause is Cause.REPORT_MALFORMED


def test_without_the_device_there_is_no_platform(make: Make, tmp_path: Path) -> None:
    found = failure(make(path=tmp_path / "absent"))
    assert found.cause is Cause.NO_PLATFORM
    assert found.observed == f"{tmp_path}/absent: ENOENT (No such file or directory)"


def test_a_device_that_appears_later_is_used(make: Make, tmp_path: Path) -> None:
    provider = make(path=tmp_path / "late")
    assert failure(provider).cause is Cause.NO_PLATFORM
    (tmp_path / "late").touch()
    assert provider.attest(DATA).report


def test_waits_while_another_process_holds_the_device(
    provider: SevGuestDevice, device: Path, clock: BlockingTime
) -> None:
    with device.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert provider.attest(DATA).report
    assert clock.now > BlockingTime().now


def test_states_the_level_that_it_was_told(make: Make, driver: SevGuestDriver) -> None:
    make(vmpl=2).attest(DATA)
    assert driver.calls[0].vmpl == 2


def test_states_the_kernel_s_own_level_otherwise(
    provider: SevGuestDevice, driver: SevGuestDriver, tmp_path: Path
) -> None:
    driver.vmpl = 1
    (tmp_path / "vmpl").write_text("1\n")
    assert provider.attest(DATA).report
    assert driver.calls[0].vmpl == 1


def test_a_level_below_the_guest_s_own_is_refused(make: Make, driver: SevGuestDriver) -> None:
    driver.vmpl = 2
    assert failure(make(vmpl=1)).cause is Cause.PRIVILEGE_REFUSED


@pytest.mark.parametrize("text", ["", "4\n", "-1\n", "two", "0" * 17])
def test_a_kernel_that_does_not_tell_its_level_runs_at_the_highest(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "vmpl").write_text(text)
    assert kernel_vmpl(tmp_path / "vmpl") == 0


def test_tells_the_boot_id_of_the_kernel(provider: SevGuestDevice) -> None:
    assert provider.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
