"""A listening socket with bounds on everything that comes before a request."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

IDLE_SECONDS = 15.0
"""A connection whose next request's headers are not complete by then is closed."""

HANDSHAKE_SECONDS = 5.0
"""A TLS handshake that takes longer is broken off."""

SHUTDOWN_SECONDS = 5.0
"""How long requests at work may take to end when the listener closes."""

MAX_HEADERS = 32
"""Header fields of a request; agents send half a dozen. Each is at most 8,190 bytes."""

LINGER_SECONDS = 1.0
"""How long the rest of a refused body is read, so that its sender sees the answer."""


@asynccontextmanager
async def listening(
    application: web.Application,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    idle_seconds: float = IDLE_SECONDS,
) -> AsyncIterator[int]:
    """Serve an application while the block runs; yields the port that was bound.

    Args:
        application: What to serve.
        host: The address to listen on; empty for all.
        port: The port; 0 for any free one.
        tls: None serves plain HTTP.
        idle_seconds: See ``IDLE_SECONDS``.
    """
    runner = web.AppRunner(
        application,
        handle_signals=False,
        access_log=None,
        # Bodies are counted as they come, not as what they unpack to.
        auto_decompress=False,
        keepalive_timeout=idle_seconds,
        lingering_time=LINGER_SECONDS,
        max_headers=MAX_HEADERS,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        server = await _bind(runner, host, port, tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _bind(
    runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None
) -> asyncio.Server:
    factory = runner.server
    assert factory is not None  # noqa: S101 - set by setup()
    return await asyncio.get_running_loop().create_server(
        factory,
        host or None,
        port,
        ssl=tls,
        ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
    )
