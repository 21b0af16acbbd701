"""Where a cluster with real nodes cannot run, it is said why."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import pytest

from nodeproof_dev.errors import NotPossible
from nodeproof_dev.real import requirements


def test_another_system_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert requirements.why_not_here() == "kubelets run on Linux"


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(shutil, "which", lambda name: None if name in {"runc", "ip"} else name)
    reason = requirements.why_not_here()
    assert reason == "not on PATH: ip, runc (in Debian's packages iproute2, runc)"


def test_another_user_than_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "need root" in requirements.why_not_here()


def test_nothing_is_begun_where_it_cannot_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(NotPossible, match="kubelets run on Linux"):
        requirements.require(tmp_path / "cluster")


def test_what_a_program_says_is_the_reason() -> None:
    assert requirements._failed(["sh", "-c", "echo 'no such module' >&2; exit 1"]) == (
        "no such module"
    )


def test_a_program_that_succeeds_is_no_reason() -> None:
    assert requirements._failed(["true"]) == ""
