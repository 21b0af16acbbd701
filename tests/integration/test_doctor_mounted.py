"""The doctor on a mounted file system that behaves as configfs-tsm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nodeproof_agent.doctor.command import run
from nodeproof_dev.errors import NotPossible
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.tsm_model import Faults
from nodeproof_dev.tsm_mount import TsmMount, missing

pytestmark = [
    pytest.mark.fuse,
    pytest.mark.skipif(bool(missing()), reason=f"nothing can be mounted here: {missing()}"),
]


@pytest.fixture(scope="module")
def mounted(platforms: Platforms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TsmMount]:
    with ExitStack() as stack:
        root = tmp_path_factory.mktemp("doctor") / "report"
        mount = TsmMount(platforms.machine("doctor"), root)
        try:
            stack.enter_context(mount)
        except NotPossible as error:
            pytest.skip(str(error))
        yield mount


@pytest.fixture
def mount(mounted: TsmMount) -> Iterator[TsmMount]:
    mounted.faults = Faults()
    yield mounted
    mounted.faults = Faults()


def examined(root: Path, *flags: str) -> Any:
    code, answer = run([*flags, "--tsm-root", str(root), "--output", "json"], {})
    found = json.loads(answer)
    assert code == (0 if found["evidence"] else 1)
    return found


def test_finds_the_interface_without_asking_for_a_report(mount: TsmMount) -> None:
    before = mount.reports
    found = examined(mount.root)
    assert found["provider"] == "configfs-tsm"
    assert mount.reports == before


def test_tries_for_one_report(mount: TsmMount) -> None:
    before = mount.reports
    found = examined(mount.root, "--try")
    assert found["attempt"]["report"]["product"] == "Milan"
    assert "VCEK" in found["attempt"]["certificates"]
    assert mount.reports == before + 1


def test_leaves_no_entry(mount: TsmMount) -> None:
    examined(mount.root, "--try")
    assert list(mount.root.iterdir()) == []
