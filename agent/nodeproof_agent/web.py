"""What the agent serves: ``/metrics`` and ``/healthz``, to anybody, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from nodeproof_agent.loop import Health
from nodeproof_agent.metrics import Metrics
from nodeproof_agent.settings import Address

STOP_SECONDS = 0.2
"""How long a scrape may still take when the agent stops: it is to be gone within a second."""


@asynccontextmanager
async def serving(
    address: Address, metrics: Metrics, health: Callable[[], Health]
) -> AsyncIterator[int]:
    """Serve while the block runs; yields the port.

    Raises:
        OSError: The address cannot be listened on.
    """
    runner = web.AppRunner(
        application(metrics, health), access_log=None, shutdown_timeout=STOP_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, address.port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def application(metrics: Metrics, health: Callable[[], Health]) -> web.Application:
    """Return the two pages."""

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )

    async def show_health(_: web.Request) -> web.Response:
        """Answer 200 as long as the loop runs: a restart cannot make a node genuine."""
        now = health()
        return web.Response(
            status=200 if now.alive else 503,
            body=msgspec.json.encode(now),
            content_type="application/json",
        )

    served = web.Application()
    served.router.add_get("/metrics", show_metrics)
    served.router.add_get("/healthz", show_health)
    return served
