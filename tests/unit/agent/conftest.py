from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nodeproof_agent.client import OperatorClient
from nodeproof_agent.providers.worker import Platform
from nodeproof_agent.round import Round
from unit.agent.agent_standins import (
    Authority,
    FakeOperator,
    FakeProvider,
    FakeTime,
    HighestRandom,
    token_of,
)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority("the operator's CA")


@pytest.fixture(scope="session")
def other_authority() -> Authority:
    return Authority("another CA")


@pytest.fixture
def ca_file(tmp_path: Path, authority: Authority) -> Path:
    path = tmp_path / "ca.crt"
    path.write_bytes(authority.pem)
    return path


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(token_of())
    return path


@pytest.fixture
async def operator(authority: Authority, tmp_path: Path) -> AsyncIterator[FakeOperator]:
    serving = FakeOperator()
    await serving.start(authority.server_context(tmp_path))
    yield serving
    await serving.stop()


@pytest.fixture
def client(operator: FakeOperator, ca_file: Path) -> OperatorClient:
    return OperatorClient(operator.url, ca_file)


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def one_round(token_file: Path, client: OperatorClient, provider: FakeProvider) -> Round:
    async def no_sleep(_: float) -> None:
        return

    return Round(
        token_file=token_file,
        operator=client,
        platform=Platform(provider),
        random=HighestRandom(),
        sleep=no_sleep,
    )
