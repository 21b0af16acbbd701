"""Asks the evidence service as an agent would, but without a token."""

from __future__ import annotations

import ssl

import aiohttp

from nodeproof.errors import NodeproofError
from nodeproof.protocol import CHALLENGES_PATH, MAX_REQUEST_BYTES, Refusal, decode

SECONDS = 10.0
"""How long it may take to answer."""


async def trouble(url: str, ca: str) -> str:
    """Return why the service does not answer as it should, empty if it does.

    It should refuse a request without a token, in the words of the protocol.

    Args:
        url: The service.
        ca: PEM certificates; nothing else is trusted.
    """
    try:
        context = _context(ca)
    except (ssl.SSLError, ValueError):
        return "the published CA holds no PEM certificate"
    try:
        return await _ask(url, context)
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    except aiohttp.ClientConnectorCertificateError as error:
        return f"its certificate is not by the published CA: {error.certificate_error}"
    except aiohttp.ClientError as error:
        return f"{type(error).__name__}: {error}"


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=ca)
    return context


async def _ask(url: str, context: ssl.SSLContext) -> str:
    limits = aiohttp.ClientTimeout(total=SECONDS)
    async with (
        aiohttp.ClientSession(timeout=limits) as session,
        session.post(f"{url}{CHALLENGES_PATH}", data=b"", ssl=context) as answer,
    ):
        body = await answer.content.read(MAX_REQUEST_BYTES)
    try:
        decode(body, Refusal)
    except NodeproofError:
        return f"somebody else answers there: HTTP {answer.status}"
    return ""
