from __future__ import annotations

import errno

import pytest

from nodeproof.unavailability import Cause
from nodeproof_agent.providers.sev_guest_abi import ReportResponse
from nodeproof_agent.providers.sev_guest_refusals import (
    Reaction,
    refusal,
    refusal_in,
    refusal_to_open,
)

NO_CALL = 0xFF


def vmm_error(code: int) -> int:
    return code << 32


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (errno.ENOENT, Cause.NO_PLATFORM),
        (errno.ENXIO, Cause.NO_PLATFORM),
        (errno.ENODEV, Cause.NO_PLATFORM),
        (errno.ENOTDIR, Cause.NO_PLATFORM),
        (errno.EACCES, Cause.PERMISSION_DENIED),
        (errno.EPERM, Cause.PERMISSION_DENIED),
        (errno.EBUSY, Cause.FIRMWARE_BUSY),
        (errno.EMFILE, Cause.INTERNAL_ERROR),
        (0, Cause.INTERNAL_ERROR),
    ],
)
def test_a_device_that_does_not_open_has_a_cause(error: int, cause: Cause) -> None:
    assert refusal_to_open(error).cause is cause


@pytest.mark.parametrize(
    ("error", "exitinfo2", "cause"),
    [
        (errno.EAGAIN, NO_CALL, Cause.FIRMWARE_BUSY),
        (errno.EBUSY, NO_CALL, Cause.FIRMWARE_BUSY),
        (errno.EINTR, NO_CALL, Cause.FIRMWARE_BUSY),
        (errno.EIO, vmm_error(2), Cause.FIRMWARE_BUSY),
        (errno.EIO, vmm_error(2) | NO_CALL, Cause.FIRMWARE_BUSY),
        (errno.ETIMEDOUT, vmm_error(2), Cause.TIMED_OUT),
        (errno.EBADMSG, 0, Cause.KEY_DISABLED),
        (errno.ENOTTY, NO_CALL, Cause.KEY_DISABLED),
        (errno.EACCES, NO_CALL, Cause.PERMISSION_DENIED),
        (errno.EPERM, NO_CALL, Cause.PERMISSION_DENIED),
        (errno.ENXIO, 0, Cause.NO_PLATFORM),
        (errno.EIO, vmm_error(1), Cause.CERTIFICATES_TOO_LARGE),
        (errno.EIO, NO_CALL, Cause.FIRMWARE_ERROR),
        (errno.EIO, 0x17, Cause.FIRMWARE_ERROR),
        (errno.EINVAL, NO_CALL, Cause.INTERNAL_ERROR),
        (errno.EFAULT, 0, Cause.INTERNAL_ERROR),
    ],
)
def test_a_failed_request_has_a_cause(error: int, exitinfo2: int, cause: Cause) -> None:
    assert refusal(error, exitinfo2).cause is cause


@pytest.mark.parametrize(
    ("error", "exitinfo2", "reaction"),
    [
        (errno.EAGAIN, NO_CALL, Reaction.ASK_AGAIN),
        (errno.EIO, vmm_error(2), Reaction.ASK_AGAIN),
        (errno.EIO, vmm_error(1), Reaction.ENLARGE),
        (errno.ENOTTY, NO_CALL, Reaction.ASK_PLAINLY),
        (errno.EIO, 0x17, Reaction.GIVE_UP),
        (errno.ETIMEDOUT, vmm_error(2), Reaction.GIVE_UP),
        (errno.EBADMSG, 0, Reaction.GIVE_UP),
    ],
)
def test_asks_again_only_where_it_can_help(error: int, exitinfo2: int, reaction: Reaction) -> None:
    assert refusal(error, exitinfo2).reaction is reaction


def test_names_the_codes_of_firmware_and_host() -> None:
    observed = refusal(errno.EIO, vmm_error(3) | 0x17).observed
    assert observed == "EIO (Input/output error), fw_error 0x17 (resource limit), vmm_error 3"


def test_a_code_without_a_name_is_shown_as_a_number() -> None:
    assert "fw_error 0x1234 (unknown)" in refusal(errno.EIO, 0x1234).observed


def test_codes_that_the_driver_did_not_set_are_not_shown() -> None:
    assert refusal(errno.EAGAIN, 0x17).observed == "EAGAIN (Resource temporarily unavailable)"


@pytest.mark.parametrize(
    ("status", "cause", "name"),
    [
        (0x16, Cause.PRIVILEGE_REFUSED, "0x16 (invalid parameter)"),
        (0x27, Cause.FIRMWARE_ERROR, "0x27 (invalid key)"),
        (0x99, Cause.FIRMWARE_ERROR, "0x99 (unknown)"),
    ],
)
def test_a_status_of_the_firmware_has_a_cause(status: int, cause: Cause, name: str) -> None:
    found = refusal_in(ReportResponse(status=status))
    assert found is not None
    assert found.cause is cause
    assert name in found.observed


@pytest.mark.parametrize("size", [0, 1183, 1185, 0xFFFFFFFF])
def test_an_answer_that_states_another_size_is_malformed(size: int) -> None:
    found = refusal_in(ReportResponse(report_size=size))
    assert found is not None
    assert found.cause is Cause.REPORT_MALFORMED
    assert found.observed == f"report_size {size}"


def test_an_answer_of_the_right_size_is_not_refused() -> None:
    assert refusal_in(ReportResponse(report_size=1184)) is None
