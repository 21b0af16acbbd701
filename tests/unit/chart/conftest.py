from __future__ import annotations

import pytest

from cases.charts import CASES, Charts, Rendered, built_helm
from nodeproof_dev.helm import Helm


@pytest.fixture(scope="session")
def helm() -> Helm:
    return built_helm()


@pytest.fixture(scope="session")
def charts(helm: Helm) -> Charts:
    return Charts(helm)


@pytest.fixture(params=CASES)
def rendered(request: pytest.FixtureRequest, charts: Charts) -> Rendered:
    """The chart with the values of each kind of cluster in turn."""
    return charts.render(CASES[request.param])


@pytest.fixture
def default(charts: Charts) -> Rendered:
    return charts.render({})
