"""The entries that the provider configfs-tsm makes, and that it always removes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fakes.blocking_time import BlockingTime
from fakes.model_files import ModelFiles
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers.configfs_tsm import ConfigfsTSM
from nodeproof_agent.providers.pacing import Pacing
from nodeproof_agent.providers.tsm_entry import Files
from nodeproof_dev.tsm_model import Faults, TsmModel

DATA = bytes(range(64))
LEFT_BEHIND = "nodeproof-1-0123456789abcdef"


@pytest.fixture
def files() -> ModelFiles:
    return ModelFiles()


@pytest.fixture
def model(files: ModelFiles) -> TsmModel:
    return files.model


@pytest.fixture
def provider(tmp_path: Path, files: ModelFiles) -> ConfigfsTSM:
    clock = BlockingTime()
    return ConfigfsTSM(tmp_path, files=files, clock=clock, sleep=clock.sleep)


@pytest.mark.parametrize("step", ["read", "write"])
def test_the_entry_is_removed_whatever_is_raised(
    provider: ConfigfsTSM,
    files: ModelFiles,
    model: TsmModel,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        provider.attest(DATA)
    assert len(files.made) == 1
    assert model.names() == []


def test_an_entry_that_cannot_be_removed_costs_no_evidence(
    provider: ConfigfsTSM, model: TsmModel
) -> None:
    model.faults = Faults(removals_failing=1)
    with capture_logs() as logs:
        assert provider.attest(DATA).report[0x50:0x90] == DATA
    assert [each["event"] for each in logs] == ["cannot remove an entry"]
    assert len(model.names()) == 1


def test_an_entry_that_cannot_be_removed_hides_no_error(
    provider: ConfigfsTSM, model: TsmModel
) -> None:
    model.faults = Faults(removals_failing=1, error="ENOTTY")
    with pytest.raises(ProviderFailed) as caught:
        provider.attest(DATA)
    assert caught.value.cause is Cause.KEY_DISABLED


def test_an_entry_that_could_not_be_removed_goes_with_the_next_request(
    provider: ConfigfsTSM, model: TsmModel
) -> None:
    model.faults = Faults(removals_failing=1)
    provider.attest(DATA)
    provider.attest(DATA)
    assert model.names() == []


def test_what_a_killed_agent_left_behind_is_removed_at_the_next_start(
    provider: ConfigfsTSM, model: TsmModel
) -> None:
    model.make(LEFT_BEHIND)
    provider.attest(DATA)
    assert model.names() == []


@pytest.mark.parametrize("name", ["other", "nodeproof-mine", f"{LEFT_BEHIND}0", f"x{LEFT_BEHIND}"])
def test_what_others_made_is_left_alone(provider: ConfigfsTSM, model: TsmModel, name: str) -> None:
    model.make(name)
    provider.attest(DATA)
    assert model.names() == [name]


def test_entries_are_left_alone_while_another_process_is_at_work(
    provider: ConfigfsTSM, model: TsmModel, tmp_path: Path
) -> None:
    model.make(LEFT_BEHIND)
    with Pacing(tmp_path).turn():
        assert provider.attest(DATA).report[0x50:0x90] == DATA
        assert model.names() == [LEFT_BEHIND]
    provider.attest(DATA)
    assert model.names() == []


def test_reads_no_further_than_a_byte_beyond_the_limit(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(10_000))
    assert len(Files().read(tmp_path / "blob", 1184)) == 1185


def test_reads_on_after_a_short_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blob").write_bytes(DATA)
    real = os.read
    monkeypatch.setattr(os, "read", lambda handle, size: real(handle, min(size, 7)))
    assert Files().read(tmp_path / "blob", 1184) == DATA
