"""Real handshakes with what may answer in the evidence service's place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from fakes.fake_api import FakeApi
from fakes.intake import Time, cluster, replica
from nodeproof_operator.check.service import trouble
from nodeproof_operator.intake.listener import listening
from nodeproof_operator.intake.serving import Serving, maintain, service_names
from nodeproof_operator.intake.tls import encode, server_context, take

NAMES = service_names("nodeproof-operator", "nodeproof-system", ["127.0.0.1"])


@pytest.fixture(scope="module")
def serving() -> Serving:
    return maintain(None, NAMES, datetime.now(UTC))


@asynccontextmanager
async def answering(application: web.Application, serving: Serving) -> AsyncIterator[str]:
    entries = encode(serving)
    context = server_context()
    take(context, entries["tls.crt"], entries["tls.key"])
    async with listening(application, "127.0.0.1", 0, tls=context) as port:
        yield f"https://127.0.0.1:{port}"


def ca(serving: Serving) -> str:
    return encode(serving)["ca.crt"].decode()


async def test_the_evidence_service_is_recognised(serving: Serving) -> None:
    api: FakeApi = cluster()
    async with replica(api, Time()) as running:
        application = running.intake.application()
        async with answering(application, serving) as url:
            assert await trouble(url, ca(serving)) == ""


async def test_a_certificate_by_another_ca(serving: Serving) -> None:
    other = maintain(None, NAMES, datetime.now(UTC))
    async with answering(web.Application(), serving) as url:
        assert "not by the published CA" in await trouble(url, ca(other))


async def test_another_server(serving: Serving) -> None:
    async with answering(web.Application(), serving) as url:
        found = await trouble(url, ca(serving))
    assert found == "somebody else answers there: HTTP 404"


async def test_nobody_at_all(serving: Serving) -> None:
    assert "ClientConnector" in await trouble("https://127.0.0.1:1", ca(serving))


async def test_a_ca_that_is_none() -> None:
    assert await trouble("https://127.0.0.1:1", "nonsense") == (
        "the published CA holds no PEM certificate"
    )
