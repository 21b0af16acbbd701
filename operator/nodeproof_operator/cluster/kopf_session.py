"""kopf's HTTP session: our credentials, and answers that no rogue Node can make unreadable."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Self

import aiohttp
import kopf

from nodeproof_operator.cluster.connection import Credentials
from nodeproof_operator.cluster.shallow import shallow


class ShallowResponse(aiohttp.ClientResponse):
    """A response whose JSON, whole or line by line, is never nested too deep to read."""

    async def start(self, connection: Any) -> Self:
        """Begin to read; what is then streamed passes through ``ShallowLines``."""
        await super().start(connection)
        self.content = ShallowLines(self.content)  # type: ignore[assignment] # same for readers
        return self

    async def json(self, **options: Any) -> Any:
        """Return the decoded body."""
        return await super().json(**options, loads=_loads)


class ShallowLines:
    """A stream of lines of JSON, as a watch sends them; in all else the stream it wraps."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield whole lines as they come."""
        begun = bytearray()
        async for chunk in self._content.iter_chunked(size):
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                yield shallow(bytes(begun + line)) + b"\n"
                begun.clear()
            begun += rest
        if begun:
            yield shallow(bytes(begun))


def open_session(credentials: Credentials, expiration: datetime) -> kopf.AiohttpSession:
    """Return a session for kopf, which closes it and asks for another at ``expiration``."""
    headers = {}
    if credentials.token:
        headers["Authorization"] = f"{credentials.scheme} {credentials.token}"
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=_ssl_context(credentials)),
        headers=headers,
        response_class=ShallowResponse,
    )
    return kopf.AiohttpSession(
        server=credentials.server, aiohttp_session=session, expiration=expiration
    )


def _ssl_context(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=credentials.authority_path)
    if credentials.certificate_path and credentials.key_path:
        context.load_cert_chain(credentials.certificate_path, credentials.key_path)
    if credentials.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _loads(text: str) -> Any:
    return json.loads(shallow(text.encode()))
