from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from nodeproof_dev import tsm_mount
from nodeproof_dev.tsm_mount import missing


@pytest.fixture(autouse=True)
def complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has everything."""
    device = tmp_path / "fuse"
    device.touch()
    monkeypatch.setattr(tsm_mount, "FUSE_DEVICE", device)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(tsm_mount, "find_library", lambda name: f"lib{name}.so")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())


def test_a_machine_with_everything_misses_nothing() -> None:
    assert missing() == ""


def test_names_a_missing_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tsm_mount, "FUSE_DEVICE", tmp_path / "none")
    assert missing() == f"{tmp_path / 'none'} is missing"


def test_names_a_missing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert missing() == "fusermount3 is not installed (Debian: fuse3)"


def test_names_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsm_mount, "find_library", lambda _name: None)
    assert missing() == "libfuse3 is not installed (Debian: fuse3)"


def test_names_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert missing() == "mfusepy is not installed (PyPI)"
