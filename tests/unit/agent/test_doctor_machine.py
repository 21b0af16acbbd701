from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from nodeproof.unavailability import Cause
from nodeproof_agent.doctor.machine import Machine, Registers, may_use, probe_configfs, read_cpuid
from nodeproof_agent.errors import ProviderFailed


def test_reads_a_leaf_at_its_place(tmp_path: Path) -> None:
    device = tmp_path / "cpuid"
    with device.open("wb") as file:
        file.seek(0x8000001F)
        file.write(struct.pack("<4I", 1, 2, 3, 0xFFFFFFFF))
    assert read_cpuid(0x8000001F, device) == Registers(1, 2, 3, 0xFFFFFFFF)


def test_a_leaf_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert read_cpuid(0, tmp_path / "missing") is None


def test_a_leaf_that_is_cut_short_is_none(tmp_path: Path) -> None:
    device = tmp_path / "cpuid"
    device.write_bytes(b"short")
    assert read_cpuid(0, device) is None


def test_finds_paths_under_its_root(tmp_path: Path) -> None:
    machine = Machine(root=tmp_path)
    assert machine.path("/proc/modules") == tmp_path / "proc/modules"
    assert machine.path(Path("/dev/x")) == tmp_path / "dev/x"


def test_what_cannot_be_read_has_no_text(tmp_path: Path) -> None:
    machine = Machine(root=tmp_path)
    assert machine.text("/missing") is None
    assert machine.line("/missing") == ""
    assert machine.number("/missing") is None


def test_reads_what_the_kernel_gives_only_in_small_parts() -> None:
    # /proc/sys refuses a read of megabytes.
    assert len(Machine().line("/proc/sys/kernel/random/boot_id")) == 36


def test_reads_no_more_than_a_few_megabytes_of_a_file(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    text = Machine(root=tmp_path).text("/huge")
    assert text is not None
    assert len(text) == 4 * 1024 * 1024


def test_reads_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"a\xff\n")
    assert Machine(root=tmp_path).line("/odd") == "a\ufffd"


def test_reads_a_number(tmp_path: Path) -> None:
    (tmp_path / "vmpl").write_text("2\n")
    (tmp_path / "word").write_text("two\n")
    assert Machine(root=tmp_path).number("/vmpl") == 2
    assert Machine(root=tmp_path).number("/word") is None


def test_tells_what_may_be_used(tmp_path: Path) -> None:
    assert may_use(tmp_path, os.R_OK | os.W_OK)
    assert not may_use(tmp_path / "missing", os.R_OK)


def test_an_ordinary_directory_takes_no_entries_and_keeps_none(tmp_path: Path) -> None:
    with pytest.raises(ProviderFailed) as raised:
        probe_configfs(tmp_path, None)
    assert raised.value.cause is Cause.INTERFACE_NOT_MOUNTED
    assert list(tmp_path.iterdir()) == []
