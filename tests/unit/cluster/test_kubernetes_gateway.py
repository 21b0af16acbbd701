from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from nodeproof_operator.cluster import kubernetes_gateway
from nodeproof_operator.cluster.connection import load_configuration
from nodeproof_operator.cluster.errors import (
    AnswerTooLarge,
    Conflict,
    Forbidden,
    Throttled,
    Unreachable,
)
from nodeproof_operator.cluster.gateway import JSON_PATCH, MERGE_PATCH
from nodeproof_operator.cluster.kubernetes_gateway import (
    TOKEN_LIFE_SECONDS,
    WARM_UP_SECONDS,
    KubernetesGateway,
)

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class World:
    """An HTTP server that answers as a test says, and time."""

    config: Path
    token: Path
    answers: list[Answer] = field(default_factory=list)
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    content_types: list[str] = field(default_factory=list)
    seconds: float = 1000.0
    pauses: list[float] = field(default_factory=list)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer with the next answer; the last one stays."""
        self.seen.append((request.method, request.path_qs, await request.read()))
        self.authorizations.append(request.headers.get("Authorization", ""))
        self.content_types.append(request.headers.get("Content-Type", ""))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def connect(self) -> KubernetesGateway:
        return KubernetesGateway(
            await load_configuration(self.config),
            self.config,
            clock=lambda: self.seconds,
            sleep=self.pause,
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "config", tmp_path / "token")
    server = RawTestServer(world.serve)
    await server.start_server()
    world.token.write_text("first")
    world.config.write_text(kubeconfig(str(server.make_url("/")).rstrip("/"), world.token))
    yield world
    await server.close()


@pytest.fixture
async def gateway(world: World) -> AsyncIterator[KubernetesGateway]:
    gateway = await world.connect()
    yield gateway
    await gateway.close()


def kubeconfig(server: str, token: Path) -> str:
    return yaml.safe_dump(
        {
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"tokenFile": str(token)}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


def answer(status: int, body: object = None, **headers: str) -> Answer:
    async def respond(_: web.BaseRequest) -> web.StreamResponse:
        text = json.dumps({} if body is None else body)
        return web.Response(status=status, text=text, headers=headers)

    return respond


async def hang(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def stall(request: web.BaseRequest) -> web.StreamResponse:
    """Send headers and half a body, then nothing."""
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"metadata":')
    return await hang(request)


async def hang_up(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_sends_a_merge_patch_as_it_is(world: World, gateway: KubernetesGateway) -> None:
    world.answers = [answer(200, {"kind": "Node"})]
    patch = {"metadata": {"labels": {"a": None}}, "status": None}
    assert await gateway.call("PATCH", "/x", patch, content_type=MERGE_PATCH) == {"kind": "Node"}
    method, path, body = world.seen[0]
    assert (method, path, json.loads(body)) == ("PATCH", "/x", patch)
    assert world.content_types == [MERGE_PATCH]


async def test_sends_a_json_patch_as_one(world: World, gateway: KubernetesGateway) -> None:
    world.answers = [answer(200)]
    await gateway.call("PATCH", "/x", [{"op": "test"}], content_type=JSON_PATCH)
    assert world.content_types == [JSON_PATCH]


async def test_sends_the_query_and_no_body(world: World, gateway: KubernetesGateway) -> None:
    world.answers = [answer(200)]
    await gateway.call("GET", "/x?limit=500&continue=a%3D%3D")
    assert world.seen == [("GET", "/x?limit=500&continue=a%3D%3D", b"")]


async def test_keeps_what_no_model_could_hold(world: World, gateway: KubernetesGateway) -> None:
    node = {"status": {"conditions": [{"lastHeartbeatTime": "10000-01-01T04:59:59Z"}]}}
    world.answers = [answer(200, node)]
    assert await gateway.call("GET", "/x") == node


async def test_raises_what_the_server_answers(world: World, gateway: KubernetesGateway) -> None:
    world.answers = [answer(409, {"message": "modified"})]
    with pytest.raises(Conflict, match="PATCH /x: modified"):
        await gateway.call("PATCH", "/x", {})


async def test_says_when_to_come_back(world: World, gateway: KubernetesGateway) -> None:
    world.answers = [answer(429, **{"Retry-After": "7"})]
    with pytest.raises(Throttled) as caught:
        await gateway.call("GET", "/x")
    assert caught.value.retry_after_seconds == 7.0


@pytest.mark.parametrize("behaviour", [hang, stall])
async def test_gives_up_at_the_timeout(
    world: World, gateway: KubernetesGateway, behaviour: Answer
) -> None:
    world.answers = [behaviour]
    with pytest.raises(Unreachable, match=r"within 0\.05 s"):
        await gateway.call("GET", "/x", timeout=0.05)


async def test_gives_up_at_once_without_time(world: World, gateway: KubernetesGateway) -> None:
    world.answers = [answer(200)]
    with pytest.raises(Unreachable):
        await gateway.call("GET", "/x", timeout=0.0)


async def test_reports_a_lost_connection(world: World, gateway: KubernetesGateway) -> None:
    world.answers = [hang_up]
    with pytest.raises(Unreachable) as caught:
        await gateway.call("POST", "/x", {})
    assert caught.value.status == 0


async def test_reads_no_endless_answer(
    world: World, gateway: KubernetesGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_gateway, "MAX_ANSWER_BYTES", 100)
    world.answers = [answer(200, {"filler": "x" * 200})]
    with pytest.raises(AnswerTooLarge):
        await gateway.call("GET", "/x")


async def test_asks_again_when_a_new_connection_is_refused(
    world: World, gateway: KubernetesGateway
) -> None:
    world.answers = [answer(403), answer(403), answer(200)]
    assert await gateway.call("GET", "/x") == {}
    assert len(world.pauses) == 2


async def test_sends_nothing_again_after_the_timeout(
    world: World, gateway: KubernetesGateway
) -> None:
    async def refuse_late(request: web.BaseRequest) -> web.StreamResponse:
        world.seconds += 4.9
        return await answer(403)(request)

    world.answers = [refuse_late]
    with pytest.raises(Forbidden):
        await gateway.call("PATCH", "/x", {}, timeout=5)
    assert len(world.seen) == 1


async def test_believes_the_third_refusal(world: World, gateway: KubernetesGateway) -> None:
    world.answers = [answer(403)]
    with pytest.raises(Forbidden):
        await gateway.call("GET", "/x")
    assert len(world.seen) == 3


async def test_believes_a_refusal_on_an_old_connection(
    world: World, gateway: KubernetesGateway
) -> None:
    world.answers = [answer(200), answer(403)]
    await gateway.call("GET", "/x")
    world.seconds += WARM_UP_SECONDS
    with pytest.raises(Forbidden):
        await gateway.call("GET", "/x")
    assert world.pauses == []


async def test_asks_again_after_it_had_to_connect_again(
    world: World, gateway: KubernetesGateway
) -> None:
    world.answers = [answer(200), hang_up, answer(403), answer(200)]
    await gateway.call("GET", "/x")
    world.seconds += WARM_UP_SECONDS
    with pytest.raises(Unreachable):
        await gateway.call("POST", "/x", {})
    assert await gateway.call("GET", "/x") == {}
    assert len(world.pauses) == 1


async def test_reads_the_token_again_in_time(world: World, gateway: KubernetesGateway) -> None:
    world.answers = [answer(200)]
    await gateway.call("GET", "/x")
    world.token.write_text("second")
    await gateway.call("GET", "/x")
    world.seconds += TOKEN_LIFE_SECONDS
    await gateway.call("GET", "/x")
    assert world.authorizations == ["Bearer first", "Bearer first", "Bearer second"]


async def test_reads_the_token_again_after_it_was_refused(
    world: World, gateway: KubernetesGateway
) -> None:
    world.answers = [answer(401), answer(200)]
    world.token.write_text("second")
    with pytest.raises(Forbidden):
        await gateway.call("GET", "/x")
    await gateway.call("GET", "/x")
    assert world.authorizations == ["Bearer first", "Bearer second"]


async def test_goes_on_with_the_old_token_if_there_is_no_new_one(
    world: World, gateway: KubernetesGateway
) -> None:
    world.answers = [answer(200)]
    world.config.unlink()
    world.seconds += TOKEN_LIFE_SECONDS
    assert await gateway.call("GET", "/x") == {}


async def test_gives_fresh_credentials_to_others(world: World, gateway: KubernetesGateway) -> None:
    world.token.write_text("second")
    assert (await gateway.credentials()).token == "second"


async def test_shows_its_token_in_no_error(world: World, gateway: KubernetesGateway) -> None:
    world.token.write_text("hush")
    world.seconds += TOKEN_LIFE_SECONDS
    world.answers = [answer(401, {"message": "Unauthorized"})]
    with pytest.raises(Forbidden) as caught:
        await gateway.call("GET", "/x")
    assert world.authorizations == ["Bearer hush"]
    assert "hush" not in str(caught.value)
