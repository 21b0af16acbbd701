from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.enforcement import Leader, NodeApi, put_node, put_policy
from fakes.fake_api import FakeApi


@pytest.fixture
def api() -> FakeApi:
    """A cluster with one Node, one policy that selects it and its reference values."""
    api = NodeApi()
    put_node(api)
    put_policy(api)
    return api


@pytest.fixture
def leader(api: FakeApi) -> Iterator[Leader]:
    leader = Leader(api)
    yield leader
    leader.close()
