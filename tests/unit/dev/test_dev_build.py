"""One build for one content."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from nodeproof_dev import build
from nodeproof_dev.errors import BuildFailed, GoMissing

GO_MOD = "module example\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n"


ALL = build.PROGRAMS + build.NODE_PROGRAMS


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "example"
    directory.mkdir()
    (directory / "go.mod").write_text(GO_MOD)
    (directory / "main.go").write_text("package main\n")
    return directory


@pytest.fixture
def program(source: Path) -> build.Program:
    return build.Program(source, "an example", build._plain_flags)


def made(builds: Path, name: str, age_seconds: int) -> Path:
    binary = builds / name / "example"
    binary.parent.mkdir(parents=True)
    binary.write_text("")
    os.utime(binary.parent, (10_000 - age_seconds, 10_000 - age_seconds))
    return binary


def test_the_same_content_has_the_same_hash(program: build.Program) -> None:
    assert build.content_hash(program) == build.content_hash(program)


def test_a_changed_file_changes_the_hash(program: build.Program) -> None:
    before = build.content_hash(program)
    (program.source / "main.go").write_text("package main // changed\n")
    assert build.content_hash(program) != before


def test_a_renamed_file_changes_the_hash(program: build.Program) -> None:
    before = build.content_hash(program)
    (program.source / "main.go").rename(program.source / "other.go")
    assert build.content_hash(program) != before


def test_a_changed_file_of_a_folder_changes_the_hash(program: build.Program) -> None:
    folder = program.source / "command"
    folder.mkdir()
    (folder / "main.go").write_text("package main\n")
    before = build.content_hash(program)
    (folder / "main.go").write_text("package main // changed\n")
    assert build.content_hash(program) != before


def test_a_build_that_lacks_a_binary_is_none(program: build.Program, tmp_path: Path) -> None:
    several = replace(program, others=("example", "another"))
    made(tmp_path, "a", 0)
    assert not build._is_complete(several, tmp_path / "a")


def test_other_flags_change_the_hash(program: build.Program) -> None:
    other = replace(program, flags=build._kubernetes_flags)
    assert build.content_hash(other) != build.content_hash(program)


def test_a_binary_that_is_there_is_not_built_again(program: build.Program, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    binary = made(cache / "example", build.content_hash(program), 0)
    assert build.binary_of(program, cache) == binary


def test_without_go_nothing_is_fetched_unless_wanted(
    program: build.Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GoMissing):
        build.binary_of(program, tmp_path / "cache", fetch_go=False)


def test_the_linker_is_told_the_version_of_kubernetes() -> None:
    flags = " ".join(build._kubernetes_flags(GO_MOD))
    assert "version.gitVersion=v1.36.3 " in flags
    assert "version.gitMinor=36 " in flags


def test_a_module_without_kubernetes_is_refused() -> None:
    with pytest.raises(BuildFailed):
        build._kubernetes_flags("module example\n\ngo 1.26.0\n")


def test_the_linker_is_told_the_version_of_helm() -> None:
    go_mod = "module example\n\ngo 1.26.0\n\nrequire helm.sh/helm/v4 v4.3.1\n"
    assert "internal/version.version=v4.3.1" in " ".join(build._helm_flags(go_mod))
    with pytest.raises(BuildFailed):
        build._helm_flags("module example\n\ngo 1.26.0\n")


def test_only_the_newest_two_builds_are_kept(program: build.Program, tmp_path: Path) -> None:
    builds = [made(tmp_path, name, age) for name, age in (("a", 1), ("b", 3), ("c", 2))]
    build._prune(program, tmp_path)
    assert [each.exists() for each in builds] == [True, False, True]


def test_every_go_module_in_the_tree_is_built(repository: Path) -> None:
    modules = {path.parent for path in (repository / "dev").glob("*/go.mod")}
    assert {program.source for program in ALL} == modules


@pytest.mark.parametrize("program", ALL, ids=lambda program: program.name)
def test_a_module_in_the_tree_can_be_identified(program: build.Program) -> None:
    assert len(build.content_hash(program)) == 64
