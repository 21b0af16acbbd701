from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from structlog.testing import LogCapture

from fakes.fake_api import FakeApi
from fakes.intake import Agent, Replica, Time, cluster, replica


@pytest.fixture
def api() -> FakeApi:
    return cluster()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def operator(api: FakeApi, time: Time) -> AsyncIterator[Replica]:
    async with replica(api, time) as running:
        yield running


@pytest.fixture
def agent(operator: Replica) -> Agent:
    return operator.agent()


@pytest.fixture(autouse=True)
def log() -> Iterator[LogCapture]:
    """Everything that is logged, as the operator's own configuration would render it."""
    capture = LogCapture()
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        capture,
    ]
    structlog.configure(processors=processors, cache_logger_on_first_use=False)
    yield capture
    structlog.reset_defaults()
