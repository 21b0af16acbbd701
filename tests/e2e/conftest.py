"""One cluster with real nodes for all tests here, and a namespace of its own for each of them.

Modules marked as a story are told in order, whatever the order of the rest, and end with the first
step that fails. What failed is shown with the cluster's own account of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from cases.diagnosis import diagnose
from nodeproof_dev import build
from nodeproof_dev.images import building, tools
from nodeproof_dev.images.building import Images
from nodeproof_dev.real.cluster import RealCluster
from nodeproof_dev.real.requirements import why_not_here

HERE = Path(__file__).parent

CLUSTER = pytest.StashKey[RealCluster]()
NOTES = pytest.StashKey[list[str]]()
FAILED_STEP = pytest.StashKey[str]()

_BEGUN = time.monotonic()


def pytest_configure(config: pytest.Config) -> None:
    """Begin to take notes."""
    config.stash[NOTES] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, the first of which waits for the cluster; order stories."""
    for item in filter(_is_ours, items):
        item.add_marker(pytest.mark.e2e)
    begins = {item.path: number for number, item in reversed(list(enumerate(items)))}
    told = [item for item in items if item.get_closest_marker("story")]
    places = {item: item.reportinfo()[1] or 0 for item in told}
    # Stable: the tests of a module are side by side, those of no story in the order given.
    items.sort(key=lambda item: (begins[item.path], places.get(item, 0)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing now, visibly: within a test it would exceed that test's time."""
    if not any(map(_is_ours, session.items)) or session.config.option.collectonly:
        return
    if _why_not_here():
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        for program in (*build.PROGRAMS, *build.NODE_PROGRAMS):
            build.directory_of(program)
        images = building.obtain()
    for image in images.built.values():
        session.config.stash[NOTES].append(
            f"{image.reference}: {image.bytes_above_base / 1e6:.1f} MB above its base"
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what comes after a step that failed."""
    assert item.parent is not None
    failed = item.parent.stash.get(FAILED_STEP, "")
    if failed:
        pytest.skip(f"this story ended before it, with {failed}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the cluster's own account with each failure, and end the story that it is part of."""
    report = yield
    if _is_ours(item) and report.failed and call.excinfo is not None:
        if CLUSTER in item.config.stash:
            report.sections.extend(diagnose(item.config.stash[CLUSTER]))
        if item.get_closest_marker("story") and item.parent is not None:
            item.parent.stash[FAILED_STEP] = item.name
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured."""
    notes = terminalreporter.config.stash[NOTES]
    if notes:
        terminalreporter.section("measured on real nodes")
        for note in notes:
            terminalreporter.line(note)
        terminalreporter.line(f"all of it: {time.monotonic() - _BEGUN:.0f} s")


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes what is to be printed at the end."""
    return request.config.stash[NOTES].append


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealCluster]:
    """The run's cluster: three nodes, Ready, and nothing installed."""
    if reason := _why_not_here():
        pytest.skip(reason)
    begun = time.monotonic()
    with RealCluster(tmp_path_factory.mktemp("cluster")) as started:
        request.config.stash[CLUSTER] = started
        request.config.stash[NOTES].append(f"a cluster: {time.monotonic() - begun:.1f} s to start")
        yield started
        del request.config.stash[CLUSTER]


@pytest.fixture(scope="session")
def images() -> Images:
    """The images of this source tree."""
    return building.obtain()


@pytest.fixture
def namespace(cluster: RealCluster, unique_name: str) -> Iterator[str]:
    """A namespace for one test, with its default ServiceAccount."""
    path = f"/api/v1/namespaces/{unique_name}"
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": unique_name}}
    cluster.admin.apply(document)
    cluster.admin.wait_for(f"{path}/serviceaccounts/default")
    yield unique_name
    cluster.admin.delete(path)


def _is_ours(item: pytest.Item) -> bool:
    return item.path.is_relative_to(HERE)


def _why_not_here() -> str:
    """Return why these tests cannot run on this machine, empty if they can."""
    return why_not_here() or tools.why_not_here()
