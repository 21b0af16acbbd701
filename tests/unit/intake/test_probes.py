from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from nodeproof_operator.intake.listener import listening
from nodeproof_operator.intake.probes import probe_application


@pytest.fixture
def missing() -> list[str]:
    return []


@pytest.fixture
async def client(missing: list[str]) -> AsyncIterator[aiohttp.ClientSession]:
    application = probe_application(
        lambda: (b"up 1\n", "text/plain; version=1.0.0; charset=utf-8"),
        unhealthy=list,
        unready=lambda: missing,
    )
    async with (
        listening(application, "127.0.0.1", 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


async def test_metrics_are_served_as_they_are_rendered(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics") as response:
        assert await response.read() == b"up 1\n"
        assert response.headers["Content-Type"] == "text/plain; version=1.0.0; charset=utf-8"


async def test_a_healthy_process_says_so(client: aiohttp.ClientSession) -> None:
    async with client.get("/healthz") as response:
        assert (response.status, await response.text()) == (200, "ok\n")


async def test_a_process_that_is_not_ready_says_what_is_missing(
    client: aiohttp.ClientSession, missing: list[str]
) -> None:
    missing += ["challenge keys not read", "serving certificate not read"]
    async with client.get("/readyz") as response:
        assert response.status == 503
        assert await response.text() == "challenge keys not read\nserving certificate not read\n"


async def test_readiness_is_asked_anew_each_time(
    client: aiohttp.ClientSession, missing: list[str]
) -> None:
    missing.append("challenge keys not read")
    async with client.get("/readyz") as before:
        assert before.status == 503
    missing.clear()
    async with client.get("/readyz") as after:
        assert after.status == 200
