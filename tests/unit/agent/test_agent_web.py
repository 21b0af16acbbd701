from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from nodeproof import __version__
from nodeproof_agent.loop import Health
from nodeproof_agent.metrics import BUILD_INFO, Metrics
from nodeproof_agent.settings import Address
from nodeproof_agent.web import serving

ALIVE = Health(alive=True, last_reason="", failures=0)
FAILING = Health(alive=True, last_reason="ProviderFailed", failures=7)
STUCK = Health(alive=False, last_reason="", failures=0)


@dataclass
class Served:
    """What an agent serves, and a client to look at it."""

    session: aiohttp.ClientSession
    health: Health = ALIVE
    port: int = 0

    async def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url) as response:
            return response.status, await response.text()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    metrics = Metrics(provider="simulated")
    async with aiohttp.ClientSession() as session:
        agent = Served(session)
        address = Address("127.0.0.1", 0)
        async with serving(address, metrics, lambda: agent.health) as agent.port:
            yield agent


async def test_metrics_say_that_the_platform_is_simulated(served: Served) -> None:
    status, text = await served.ask("/metrics")
    assert status == 200
    labels = f'protocol="1",provider="simulated",version="{__version__}"'
    assert f"{BUILD_INFO}{{{labels}}} 1.0" in text


async def test_metrics_tell_of_the_process(served: Served) -> None:
    assert "process_resident_memory_bytes" in (await served.ask("/metrics"))[1]


async def test_is_healthy_while_it_runs(served: Served) -> None:
    assert await served.ask("/healthz") == (200, '{"alive":true,"last_reason":"","failures":0}')


async def test_is_healthy_though_the_node_cannot_attest(served: Served) -> None:
    served.health = FAILING
    status, text = await served.ask("/healthz")
    assert status == 200
    assert '"last_reason":"ProviderFailed","failures":7' in text


async def test_is_unhealthy_when_the_loop_is_stuck(served: Served) -> None:
    served.health = STUCK
    assert (await served.ask("/healthz"))[0] == 503


@pytest.mark.parametrize("path", ["/", "/healthz/", "/v1/challenges", "/debug"])
async def test_serves_nothing_else(served: Served, path: str) -> None:
    assert (await served.ask(path))[0] == 404


@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
async def test_takes_nothing(served: Served, path: str) -> None:
    assert (await served.ask(path, "POST"))[0] == 405
