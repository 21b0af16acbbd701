"""One build for one content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nodeproof_dev import build
from nodeproof_dev.errors import BuildFailed

GO_MOD = "module example\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "go.mod").write_text(GO_MOD)
    (directory / "main.go").write_text("package main\n")
    return directory


def made(cache: Path, name: str, age_seconds: int) -> Path:
    binary = cache / name / "controlplane"
    binary.parent.mkdir(parents=True)
    binary.write_text("")
    os.utime(binary.parent, (10_000 - age_seconds, 10_000 - age_seconds))
    return binary


def test_the_same_content_has_the_same_hash(source: Path) -> None:
    assert build.content_hash(source) == build.content_hash(source)


def test_a_changed_file_changes_the_hash(source: Path) -> None:
    before = build.content_hash(source)
    (source / "main.go").write_text("package main // changed\n")
    assert build.content_hash(source) != before


def test_a_renamed_file_changes_the_hash(source: Path) -> None:
    before = build.content_hash(source)
    (source / "main.go").rename(source / "other.go")
    assert build.content_hash(source) != before


def test_a_binary_that_is_there_is_not_built_again(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    binary = made(cache, build.content_hash(source), 0)
    assert build.controlplane_binary(source, cache) == binary


def test_the_linker_is_told_the_version_of_kubernetes() -> None:
    flags = " ".join(build._flags(GO_MOD))
    assert "version.gitVersion=v1.36.3 " in flags
    assert "version.gitMinor=36 " in flags


def test_a_module_without_kubernetes_is_refused() -> None:
    with pytest.raises(BuildFailed):
        build._flags("module example\n\ngo 1.26.0\n")


def test_only_the_newest_two_builds_are_kept(tmp_path: Path) -> None:
    builds = [made(tmp_path, name, age) for name, age in (("a", 1), ("b", 3), ("c", 2))]
    build._prune(tmp_path)
    assert [each.exists() for each in builds] == [True, False, True]


def test_the_module_in_the_tree_can_be_identified(repository: Path) -> None:
    assert len(build.content_hash(repository / "dev" / "controlplane")) == 64
