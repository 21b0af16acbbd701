"""Token and CA bundle are kept fresh, as a kubelet keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from nodeproof_dev.api import Api
from nodeproof_dev.errors import NotPossible
from nodeproof_dev.volumes import AgentVolumes, token_request

START = datetime(2026, 1, 2, tzinfo=UTC)


def pod(audience: str = "nodeproof") -> dict[str, Any]:
    token = {"audience": audience, "expirationSeconds": 600, "path": "token"}
    volumes = [
        {"name": "other", "emptyDir": {}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
    ]
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "pod-uid"},
        "spec": {"serviceAccountName": "agent", "volumes": volumes},
    }


class Cluster:
    """As much of an API server as volumes need."""

    def __init__(self) -> None:
        self.now = START
        self.tokens = 0
        self.bundle: dict[str, str] = {}

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/ns/serviceaccounts/agent/token"
        self.tokens += 1
        expires = self.now + timedelta(seconds=body["spec"]["expirationSeconds"])
        return {"status": {"token": f"t{self.tokens}", "expirationTimestamp": expires.isoformat()}}

    def find(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/ns/configmaps/nodeproof-ca"
        return {"data": self.bundle} if self.bundle else {}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def volumes(cluster: Cluster, tmp_path: Path) -> AgentVolumes:
    return AgentVolumes(cast("Api", cluster), pod(), tmp_path / "pod", lambda: cluster.now)


def test_a_token_is_asked_for_as_the_pod_says_and_bound_to_it() -> None:
    spec = token_request(pod())["spec"]
    assert spec["audiences"] == ["nodeproof"]
    assert spec["expirationSeconds"] == 600
    assert spec["boundObjectRef"]["uid"] == "pod-uid"


def test_a_pod_without_a_token_of_our_audience_is_refused() -> None:
    with pytest.raises(NotPossible):
        token_request(pod("another"))


def test_a_token_is_kept_until_four_fifths_of_its_life(
    cluster: Cluster, volumes: AgentVolumes
) -> None:
    volumes.refresh()
    cluster.now += timedelta(seconds=479)
    volumes.refresh()
    assert volumes.token_file.read_text() == "t1"


def test_a_token_is_renewed_at_four_fifths_of_its_life(
    cluster: Cluster, volumes: AgentVolumes
) -> None:
    volumes.refresh()
    cluster.now += timedelta(seconds=480)
    volumes.refresh()
    assert volumes.token_file.read_text() == "t2"


def test_no_ca_file_is_there_while_the_config_map_is_empty(volumes: AgentVolumes) -> None:
    volumes.refresh()
    assert not volumes.ca_file.exists()


def test_the_ca_bundle_comes_a_second_after_it_was_published(
    cluster: Cluster, volumes: AgentVolumes
) -> None:
    volumes.refresh()
    cluster.bundle = {"ca.crt": "certificates"}
    cluster.now += timedelta(seconds=1)
    volumes.refresh()
    assert volumes.ca_file.read_text() == "certificates"


def test_a_renewed_ca_bundle_follows(cluster: Cluster, volumes: AgentVolumes) -> None:
    cluster.bundle = {"ca.crt": "old"}
    volumes.refresh()
    cluster.bundle = {"ca.crt": "new"}
    cluster.now += timedelta(seconds=10)
    volumes.refresh()
    assert volumes.ca_file.read_text() == "new"
