"""Real TLS on a loopback port: who shows what, and who believes it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from cryptography import x509

from nodeproof_operator.intake.listener import listening

HOST = "nodeproof-operator.nodeproof-system.svc"


@asynccontextmanager
async def serving(
    context: ssl.SSLContext, application: web.Application | None = None
) -> AsyncIterator[int]:
    """Serve an application, an empty one unless given, on a port of the loopback interface."""
    async with listening(application or web.Application(), "127.0.0.1", 0, tls=context) as port:
        yield port


async def shown(port: int, ca: str) -> x509.Certificate:
    """Return the certificate that a client sees which trusts only ``ca``.

    Raises:
        ssl.SSLError: The client does not believe it.
    """
    context = ssl.create_default_context(cadata=ca)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        await writer.wait_closed()
    return x509.load_der_x509_certificate(der)
