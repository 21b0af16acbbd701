from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from nodeproof_operator.cluster.connection import Credentials
from nodeproof_operator.cluster.kopf_session import open_session

DEEP = b'{"type":"ADDED","object":' + b'{"f:x":' * 9_000 + b"{}" + b"}" * 9_001
PLAIN = b'{"type":"MODIFIED","object":{}}'
EXPIRATION = datetime(2026, 1, 1, tzinfo=UTC)

Fetch = Callable[..., Awaitable[aiohttp.ClientResponse]]


@pytest.fixture
async def fetch() -> AsyncIterator[Fetch]:
    """Gets a response of these chunks through a session as kopf has it."""
    async with AsyncExitStack() as stack:

        async def fetched(*chunks: bytes, authorized: bool = True) -> aiohttp.ClientResponse:
            async def answer(request: web.BaseRequest) -> web.StreamResponse:
                seen = request.headers.get("Authorization", "")
                headers = {"Content-Type": "application/json", "Seen": seen}
                response = web.StreamResponse(headers=headers)
                await response.prepare(request)
                for chunk in chunks:
                    await response.write(chunk)
                return response

            server = RawTestServer(answer)
            await server.start_server()
            stack.push_async_callback(server.close)
            token = "hush" if authorized else ""
            opened = open_session(credentials(str(server.make_url("/")), token), EXPIRATION)
            session = await stack.enter_async_context(opened.aiohttp_session)
            return await stack.enter_async_context(session.get(opened.server))

        yield fetched


def credentials(server: str, token: str) -> Credentials:
    return Credentials(server, None, "Bearer", token, None, None, insecure=False)


async def events_of(response: aiohttp.ClientResponse) -> list[str]:
    """Read a watch as kopf does; return the types of its events."""
    data = b"".join([chunk async for chunk in response.content.iter_chunked(1024 * 1024)])
    return [json.loads(line)["type"] for line in data.splitlines() if line]


async def test_reads_a_watch(fetch: Fetch) -> None:
    response = await fetch(PLAIN + b"\n" + PLAIN + b"\n")
    assert await events_of(response) == ["MODIFIED", "MODIFIED"]


async def test_reads_on_after_an_event_that_is_nested_too_deep(fetch: Fetch) -> None:
    response = await fetch(DEEP + b"\n", PLAIN + b"\n")
    assert await events_of(response) == ["ADDED", "MODIFIED"]


async def test_puts_lines_together_that_come_in_parts(fetch: Fetch) -> None:
    response = await fetch(DEEP[:5_000], DEEP[5_000:] + b"\n" + PLAIN[:7], PLAIN[7:])
    assert await events_of(response) == ["ADDED", "MODIFIED"]


async def test_reads_a_list_that_is_nested_too_deep(fetch: Fetch) -> None:
    response = await fetch(b'{"items":[' + DEEP + b"," + PLAIN + b"]}")
    assert [each["type"] for each in (await response.json())["items"]] == ["ADDED", "MODIFIED"]


async def test_ends_with_the_connection(fetch: Fetch) -> None:
    response = await fetch(PLAIN + b"\n", PLAIN)
    response.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        await events_of(response)


async def test_states_who_we_are(fetch: Fetch) -> None:
    assert (await fetch(PLAIN)).headers["Seen"] == "Bearer hush"


async def test_states_nothing_without_a_token(fetch: Fetch) -> None:
    assert (await fetch(PLAIN, authorized=False)).headers["Seen"] == ""


async def test_asks_for_fresh_credentials_in_time() -> None:
    opened = open_session(credentials("https://x", "hush"), EXPIRATION)
    await opened.aiohttp_session.close()
    assert (opened.server, opened.expiration) == ("https://x", EXPIRATION)
