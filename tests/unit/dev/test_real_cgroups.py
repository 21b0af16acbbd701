"""Control groups of both versions, in directories that look like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeproof_dev.real import cgroups

CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    for name in CONTROLLERS:
        group(tmp_path / name)
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-3\n")
    (tmp_path / "cpuset" / "cpuset.mems").write_text("0\n")
    (tmp_path / "cpu,cpuacct").symlink_to("cpu")
    return tmp_path


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    group(tmp_path)
    (tmp_path / "cgroup.controllers").write_text(" ".join(CONTROLLERS))
    (tmp_path / "cgroup.subtree_control").write_text("cpu")
    return tmp_path


def group(path: Path) -> None:
    path.mkdir(exist_ok=True)
    (path / "cgroup.procs").write_text("")


def test_version_1_is_known_by_its_hierarchies(version_1: Path) -> None:
    assert not cgroups.is_unified(version_1)
    assert cgroups.controllers(version_1) >= set(CONTROLLERS)


def test_version_2_is_known_by_its_root(version_2: Path) -> None:
    assert cgroups.is_unified(version_2)
    assert cgroups.controllers(version_2) == set(CONTROLLERS)


def test_a_group_of_version_1_is_made_in_every_hierarchy(version_1: Path) -> None:
    cgroups.make("ours/node-1", version_1)
    assert all((version_1 / name / "ours" / "node-1").is_dir() for name in CONTROLLERS)


def test_a_group_of_version_1_gets_its_parents_processors(version_1: Path) -> None:
    ours = version_1 / "cpuset" / "ours"
    ours.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        (ours / name).write_text("\n")
    cgroups.make("ours", version_1)
    assert (ours / "cpuset.cpus").read_text() == "0-3\n"


def test_a_group_of_version_2_is_made_once(version_2: Path) -> None:
    cgroups.make("ours/node-1", version_2)
    cgroups.make("ours/node-1", version_2)
    assert (version_2 / "ours" / "node-1").is_dir()


def test_controllers_of_version_2_are_passed_on(version_2: Path) -> None:
    cgroups.make("ours", version_2)
    # A file keeps what was written last, where the kernel would add it.
    assert (version_2 / "cgroup.subtree_control").read_text() == "+pids"


@pytest.mark.parametrize("mount", ["version_1", "version_2"])
def test_what_was_made_is_removed(mount: str, request: pytest.FixtureRequest) -> None:
    root: Path = request.getfixturevalue(mount)
    cgroups.make("ours/node-1", root)
    cgroups.remove("ours", root)
    assert not list(root.glob("**/ours"))


def test_what_was_never_made_is_removed_as_well(version_2: Path) -> None:
    cgroups.remove("ours", version_2)
    assert not (version_2 / "ours").exists()


def test_missing_controllers_are_named(version_2: Path) -> None:
    (version_2 / "cgroup.controllers").write_text("cpu memory")
    assert "cpuset, pids" in cgroups.why_not_here(version_2)


def test_no_control_groups_at_all_is_said(tmp_path: Path) -> None:
    assert "no control groups" in cgroups.why_not_here(tmp_path / "nowhere")


def test_groups_that_can_be_made_are_no_reason(version_1: Path) -> None:
    assert cgroups.why_not_here(version_1) == ""
