from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from fakes import simulated
from nodeproof_dev import sev_guest_faults as faults
from nodeproof_dev.sev_guest_driver import Call, Number, SevGuestDriver

CALL = Call(
    number=Number.GET_EXT_REPORT,
    msg_version=1,
    req_data=0x1000,
    resp_data=0x2000,
    user_data=bytes(range(64)),
    vmpl=0,
    certs_len=0x4000,
    certs_address=0x3000,
)


@pytest.fixture
def driver() -> SevGuestDriver:
    return SevGuestDriver.of(simulated.machine())


def status(response: bytes) -> int:
    return int.from_bytes(response[:4], "little")


def test_answers_with_a_report_behind_its_header(driver: SevGuestDriver) -> None:
    response = driver.answer(CALL).response
    assert len(response) == 4000
    assert (status(response), int.from_bytes(response[4:8], "little")) == (0, 1184)
    assert response[0x20 + 0x50 : 0x20 + 0x90] == CALL.user_data


def test_fills_the_certificate_buffer_with_zeros(driver: SevGuestDriver) -> None:
    table = driver.answer(CALL).certificates
    assert table == driver.certificates.ljust(0x4000, b"\0")


@pytest.mark.parametrize("call", [replace(CALL, certs_len=0), replace(CALL, certs_address=0)])
def test_a_caller_without_a_buffer_is_told_how_large_it_has_to_be(
    call: Call, driver: SevGuestDriver
) -> None:
    answer = driver.answer(call)
    assert (answer.error, answer.exitinfo2, answer.certs_len) == (errno.EIO, 1 << 32, 8192)


@pytest.mark.parametrize(
    "call",
    [
        replace(CALL, msg_version=0),
        replace(CALL, req_data=0),
        replace(CALL, resp_data=0),
        replace(CALL, certs_len=0x4001),
        replace(CALL, certs_len=0x5000),
    ],
)
def test_refuses_what_the_driver_refuses(call: Call, driver: SevGuestDriver) -> None:
    assert driver.answer(call).error == errno.EINVAL


@pytest.mark.parametrize(
    "call", [replace(CALL, vmpl=0), replace(CALL, vmpl=4), replace(CALL, vmpl=1, rsvd_used=True)]
)
def test_the_firmware_refuses_a_level_it_does_not_grant(call: Call, driver: SevGuestDriver) -> None:
    driver.vmpl = 1
    assert status(driver.answer(call).response) == 0x16


def test_does_not_know_other_requests(driver: SevGuestDriver) -> None:
    assert driver.answer(replace(CALL, number=Number.UNKNOWN)).error == errno.ENOTTY


def test_a_plain_request_gets_no_certificates(driver: SevGuestDriver) -> None:
    answer = driver.answer(replace(CALL, number=Number.GET_REPORT))
    assert (answer.error, answer.certificates) == (0, b"")


def test_a_lost_key_stays_lost_until_the_guest_is_launched_anew(driver: SevGuestDriver) -> None:
    driver.fail(faults.unauthentic)
    errors = [driver.answer(CALL).error for _ in range(3)]
    assert errors == [errno.EBADMSG, errno.ENOTTY, errno.ENOTTY]
    driver.reboot()
    assert driver.answer(CALL).error == 0
