from __future__ import annotations

from pathlib import Path

import pytest

from nodeproof_dev import toolchain
from nodeproof_dev.errors import BuildFailed


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o700)
    return path


def test_the_required_version_is_that_of_the_go_line() -> None:
    assert toolchain.required_version("module example\n\ngo 1.26.0\n") == (1, 26)


def test_a_module_without_a_go_line_is_refused() -> None:
    with pytest.raises(BuildFailed):
        toolchain.required_version("module example\n")


def test_a_program_tells_its_version(tmp_path: Path) -> None:
    go = program(tmp_path / "go", "go version go1.27.3 linux/amd64")
    assert toolchain.version_of(str(go)) == (1, 27)


def test_something_that_is_not_go_has_no_version(tmp_path: Path) -> None:
    assert toolchain.version_of(str(program(tmp_path / "go", "hello"))) is None
    assert toolchain.version_of(str(tmp_path / "absent")) is None


def test_the_go_on_path_is_taken_if_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = program(tmp_path / "bin" / "go", "go version go1.26.1 linux/amd64")
    monkeypatch.setenv("PATH", str(go.parent))
    found = toolchain.find_go((1, 26), cache=tmp_path, lock=tmp_path / "none.lock")
    assert found == str(go)


def test_an_old_go_on_path_gives_way_to_the_fetched_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = program(tmp_path / "bin" / "go", "go version go1.19.1 linux/amd64")
    fetched = program(tmp_path / "go-1.26" / "bin" / "go", "go version go1.27.3 linux/amd64")
    monkeypatch.setenv("PATH", str(old.parent))
    found = toolchain.find_go((1, 26), cache=tmp_path, lock=tmp_path / "none.lock")
    assert found == str(fetched)


def test_the_lock_file_has_hashes_and_names_no_index(repository: Path) -> None:
    lock = (repository / "requirements" / "go.lock").read_text()
    assert "--hash=sha256:" in lock
    assert "index-url" not in lock
