"""One cluster with real nodes for all tests here, and a namespace of its own for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeproof_dev.real.cluster import RealCluster

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder; the first one waits for the cluster."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """The run's cluster: three nodes, Ready, and nothing installed."""
    with RealCluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture
def namespace(cluster: RealCluster, unique_name: str) -> Iterator[str]:
    """A namespace for one test, with its default ServiceAccount."""
    path = f"/api/v1/namespaces/{unique_name}"
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": unique_name}}
    cluster.admin.apply(document)
    cluster.admin.wait_for(f"{path}/serviceaccounts/default")
    yield unique_name
    cluster.admin.delete(path)
