"""The provider configfs-tsm over the model of the kernel's directory, or over none."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fakes.blocking_time import BlockingTime
from fakes.model_files import TABLE, ModelFiles
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers.configfs_tsm import RETRY_SECONDS, ConfigfsTSM
from nodeproof_agent.providers.pacing import INTERVAL_SECONDS
from nodeproof_dev.tsm_model import Faults, TsmModel

DATA = bytes(range(64))

Make = Callable[..., ConfigfsTSM]


@pytest.fixture
def files() -> ModelFiles:
    return ModelFiles()


@pytest.fixture
def model(files: ModelFiles) -> TsmModel:
    return files.model


@pytest.fixture
def clock() -> BlockingTime:
    return BlockingTime()


@pytest.fixture
def make(tmp_path: Path, files: ModelFiles, clock: BlockingTime) -> Make:
    def made(vmpl: int | None = None) -> ConfigfsTSM:
        return ConfigfsTSM(tmp_path, vmpl, files=files, clock=clock, sleep=clock.sleep)

    return made


@pytest.fixture
def provider(make: Make) -> ConfigfsTSM:
    return make()


def failure(provider: ConfigfsTSM) -> ProviderFailed:
    with pytest.raises(ProviderFailed) as caught:
        provider.attest(DATA)
    return caught.value


def vmpl_of(report: bytes) -> int:
    return int.from_bytes(report[0x30:0x34], "little")


def test_gives_a_report_over_what_was_asked_and_the_table(provider: ConfigfsTSM) -> None:
    evidence = provider.attest(DATA)
    assert evidence.report[0x50:0x90] == DATA
    assert evidence.certificates == TABLE


def test_takes_a_host_that_hands_out_no_certificates(
    provider: ConfigfsTSM, model: TsmModel
) -> None:
    model.faults = Faults(table_bytes=0)
    assert provider.attest(DATA).certificates == b""


def test_asks_the_firmware_once(provider: ConfigfsTSM, model: TsmModel) -> None:
    provider.attest(DATA)
    assert model.reports == 1


def test_every_request_has_an_entry_of_its_own(provider: ConfigfsTSM, files: ModelFiles) -> None:
    provider.attest(DATA)
    provider.attest(DATA)
    assert len(set(files.made)) == 2


def test_keeps_two_seconds_between_reports(provider: ConfigfsTSM, clock: BlockingTime) -> None:
    provider.attest(DATA)
    provider.attest(DATA)
    assert clock.slept == [INTERVAL_SECONDS]


@pytest.mark.parametrize("floor", range(4))
def test_asks_for_the_lowest_level_that_is_allowed(
    provider: ConfigfsTSM, model: TsmModel, floor: int
) -> None:
    model.faults = Faults(floor=floor)
    assert vmpl_of(provider.attest(DATA).report) == floor


def test_asks_for_the_level_that_it_was_told(make: Make, model: TsmModel) -> None:
    model.faults = Faults(floor=1)
    assert vmpl_of(make(vmpl=2).attest(DATA).report) == 2


def test_a_level_below_the_floor_is_refused_before_anything_is_asked(
    make: Make, model: TsmModel
) -> None:
    model.faults = Faults(floor=2)
    refused = failure(make(vmpl=1))
    assert refused.cause is Cause.PRIVILEGE_REFUSED
    assert (refused.expected, refused.observed) == ("VMPL 2 or a higher number", "VMPL 1")
    assert model.reports == 0


def test_a_level_that_the_kernel_does_not_know_is_refused(make: Make) -> None:
    assert failure(make(vmpl=4)).cause is Cause.PRIVILEGE_REFUSED


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("EIO", Cause.FIRMWARE_ERROR),
        ("ENXIO", Cause.FIRMWARE_ERROR),
        ("EINVAL", Cause.FIRMWARE_ERROR),
        ("ENOTTY", Cause.KEY_DISABLED),
        ("EBADMSG", Cause.KEY_DISABLED),
        ("ETIMEDOUT", Cause.TIMED_OUT),
        ("EACCES", Cause.PERMISSION_DENIED),
        ("EFBIG", Cause.REPORT_MALFORMED),
        ("ENODEV", Cause.PROVIDER_MISSING),
        ("ENOMEM", Cause.INTERNAL_ERROR),
    ],
)
def test_names_the_cause_of_what_will_not_pass_and_asks_no_second_time(
    provider: ConfigfsTSM, model: TsmModel, error: str, cause: Cause
) -> None:
    model.faults = Faults(error=error)
    refused = failure(provider)
    assert refused.cause is cause
    assert refused.observed.startswith(f"{error} (")
    assert model.reports == 1
    assert model.names() == []


@pytest.mark.parametrize("error", ["EBUSY", "EAGAIN"])
def test_asks_a_busy_firmware_again(provider: ConfigfsTSM, model: TsmModel, error: str) -> None:
    model.faults = Faults(error=error, times=3)
    assert provider.attest(DATA).report[0x50:0x90] == DATA
    assert model.reports == 4


def test_firmware_that_stays_busy_is_given_up_in_time(
    provider: ConfigfsTSM, model: TsmModel, clock: BlockingTime
) -> None:
    model.faults = Faults(error="EBUSY")
    started = clock.now
    assert failure(provider).cause is Cause.FIRMWARE_BUSY
    assert RETRY_SECONDS <= clock.now - started <= RETRY_SECONDS + INTERVAL_SECONDS
    assert model.reports == RETRY_SECONDS / INTERVAL_SECONDS + 1


def test_says_that_it_asks_again_and_why(provider: ConfigfsTSM, model: TsmModel) -> None:
    model.faults = Faults(error="EBUSY", times=1)
    with capture_logs() as logs:
        provider.attest(DATA)
    assert [(each["event"], each["reason"]) for each in logs] == [
        ("asking the platform again", "FirmwareBusy")
    ]


@pytest.mark.parametrize(
    "faults", [Faults(rivals=1), Faults(late_rivals=1), Faults(lost_writes=1)], ids=repr
)
def test_what_another_process_wrote_never_passes_for_ours(
    provider: ConfigfsTSM, model: TsmModel, faults: Faults
) -> None:
    model.faults = faults
    assert provider.attest(DATA).report[0x50:0x90] == DATA
    assert model.names() == []


def test_a_rival_that_does_not_end_is_named(provider: ConfigfsTSM, model: TsmModel) -> None:
    model.faults = Faults(rivals=1000)
    refused = failure(provider)
    assert refused.cause is Cause.INTERFERED
    assert (refused.expected, refused.observed) == ("generation 2", "generation 4")


def test_an_entry_that_is_removed_under_us_is_interference(
    make: Make, model: TsmModel, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_elsewhere(path: Path, value: bytes) -> int:
        model.remove(path.parent.name)
        return ModelFiles.write(files, path, value)

    monkeypatch.setattr(files, "write", write_elsewhere)
    assert failure(make()).cause is Cause.INTERFERED


@pytest.mark.parametrize("size", [0, 1, 64, 1183])
def test_a_short_report_is_malformed(provider: ConfigfsTSM, model: TsmModel, size: int) -> None:
    model.faults = Faults(report_bytes=size)
    refused = failure(provider)
    assert refused.cause is Cause.REPORT_MALFORMED
    assert refused.observed == f"{size} bytes"


def test_a_long_report_is_malformed(make: Make, files: ModelFiles) -> None:
    files.model = TsmModel(lambda _data, _vmpl: (bytes(4000), b""))
    assert failure(make()).cause is Cause.REPORT_MALFORMED


def test_a_report_over_something_else_is_malformed(provider: ConfigfsTSM, model: TsmModel) -> None:
    model.faults = Faults(other_data=True)
    refused = failure(provider)
    assert refused.cause is Cause.REPORT_MALFORMED
    assert DATA.hex() in refused.expected


def test_a_table_that_is_as_large_as_may_be_is_taken(
    provider: ConfigfsTSM, model: TsmModel
) -> None:
    model.faults = Faults(table_bytes=64 * 1024)
    assert len(provider.attest(DATA).certificates) == 64 * 1024


def test_a_table_that_is_larger_is_refused(provider: ConfigfsTSM, model: TsmModel) -> None:
    model.faults = Faults(table_bytes=64 * 1024 + 1)
    assert failure(provider).cause is Cause.CERTIFICATES_TOO_LARGE


def test_a_kernel_without_a_driver_is_named(provider: ConfigfsTSM, model: TsmModel) -> None:
    model.faults = Faults(provider="")
    refused = failure(provider)
    assert refused.cause is Cause.PROVIDER_MISSING
    assert refused.observed.startswith("ENXIO")


def test_a_driver_for_something_else_is_named(provider: ConfigfsTSM, model: TsmModel) -> None:
    model.faults = Faults(provider="tdx_guest")
    refused = failure(provider)
    assert (refused.cause, refused.observed) == (Cause.PROVIDER_MISSING, "tdx_guest")
    assert model.names() == []


def test_a_directory_without_permission_is_named(provider: ConfigfsTSM, model: TsmModel) -> None:
    model.faults = Faults(denied=True)
    assert failure(provider).cause is Cause.PERMISSION_DENIED


def test_a_directory_that_is_mounted_read_only_is_named(
    provider: ConfigfsTSM, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(_: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(files, "make", read_only)
    refused = failure(provider)
    assert refused.cause is Cause.PERMISSION_DENIED
    assert "EROFS" in refused.observed


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    refused = failure(ConfigfsTSM(tmp_path / "none"))
    assert refused.cause is Cause.INTERFACE_NOT_MOUNTED
    assert str(tmp_path / "none") in refused.message


def test_a_file_where_the_directory_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert failure(ConfigfsTSM(tmp_path / "file")).cause is Cause.INTERFACE_NOT_MOUNTED


def test_a_directory_of_something_else_is_named_and_left_clean(tmp_path: Path) -> None:
    refused = failure(ConfigfsTSM(tmp_path))
    assert refused.cause is Cause.INTERFACE_NOT_MOUNTED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("attribute", ["generation", "privlevel_floor"])
def test_an_attribute_that_is_no_number_is_refused(
    provider: ConfigfsTSM, files: ModelFiles, monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    def read(path: Path, limit: int) -> bytes:
        return b"\xff\n" if path.name == attribute else ModelFiles.read(files, path, limit)

    monkeypatch.setattr(files, "read", read)
    refused = failure(provider)
    assert (refused.cause, refused.observed) == (Cause.REPORT_MALFORMED, r"\xff")


def test_a_request_that_is_taken_in_part_is_no_request(
    provider: ConfigfsTSM, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "write", lambda _path, value: len(value) - 1)
    assert "in part" in failure(provider).message


def test_recovers_without_a_restart(provider: ConfigfsTSM, model: TsmModel) -> None:
    for faults in (Faults(provider=""), Faults(error="EIO"), Faults(denied=True)):
        model.faults = faults
        failure(provider)
    model.faults = Faults()
    assert provider.attest(DATA).report[0x50:0x90] == DATA


def test_a_probe_asks_no_firmware_and_leaves_nothing(
    provider: ConfigfsTSM, model: TsmModel, clock: BlockingTime
) -> None:
    provider.probe()
    provider.attest(DATA)
    assert model.reports == 1
    assert clock.slept == []
    assert model.names() == []


def test_a_probe_tells_what_is_missing(provider: ConfigfsTSM, model: TsmModel) -> None:
    model.faults = Faults(provider="")
    with pytest.raises(ProviderFailed) as caught:
        provider.probe()
    assert caught.value.cause is Cause.PROVIDER_MISSING


def test_states_the_boot_id_of_the_kernel(tmp_path: Path) -> None:
    file = tmp_path / "boot_id"
    file.write_text("0f3c9a64-2f55-4c4e-9c5d-6a1b6a1d2e3f\n")
    assert ConfigfsTSM(boot_id_file=file).boot_id() == "0f3c9a64-2f55-4c4e-9c5d-6a1b6a1d2e3f"
