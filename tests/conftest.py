"""What every test may use: one control plane a run, and names that nobody else uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from nodeproof_dev.build import controlplane_binary
from nodeproof_dev.controlplane import EXISTING_VARIABLE, ControlPlane

_MAX_SLUG = 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the control plane, so that ``-m "not cluster"`` leaves it out; Helm too."""
    for item in items:
        if isinstance(item, pytest.Function) and "plane" in item.fixturenames:
            item.add_marker(pytest.mark.cluster)
        if isinstance(item, pytest.Function) and "helm" in item.fixturenames:
            item.add_marker(pytest.mark.helm)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the control plane now, visibly: within a test it would exceed that test's time."""
    needed = any(item.get_closest_marker("cluster") for item in session.items)
    if not needed or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        controlplane_binary()
        return
    with capture.global_and_fixture_disabled():
        controlplane_binary()


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The run's control plane, or the existing cluster that NODEPROOF_KUBECONFIG names."""
    with ControlPlane.obtain(tmp_path_factory.mktemp("plane")) as obtained:
        yield obtained


@pytest.fixture
def own_plane(plane: ControlPlane) -> ControlPlane:
    """The run's control plane where a test must stop parts of it."""
    if not plane.is_own:
        pytest.skip(f"an existing cluster ({EXISTING_VARIABLE}) is not stopped and started")
    return plane


@pytest.fixture
def unique_name(request: pytest.FixtureRequest) -> str:
    """A name for objects of this test alone: a DNS label of at most 39 characters."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    return f"{words[:_MAX_SLUG].strip('-')}-{uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return Path(__file__).resolve().parents[1]
