from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from nodeproof.errors import MessageMalformed, MessageTooLarge
from nodeproof.protocol import CHALLENGES_PATH, MAX_ANSWER_BYTES, ChallengeAnswer, encode
from nodeproof_agent.client import Exchange, OperatorClient
from nodeproof_agent.errors import (
    AnswerUnexpected,
    CABundleUnusable,
    OperatorRefused,
    OperatorUnreachable,
    OperatorUntrusted,
)
from unit.agent.agent_standins import (
    Authority,
    FakeOperator,
    answer,
    hang_up,
    overwrite,
    receipt,
    refuse,
    token_of,
)


@pytest.fixture
async def exchange(client: OperatorClient) -> AsyncIterator[Exchange]:
    async with client.exchange(token_of()) as opened:
        yield opened


async def ask_once(client: OperatorClient) -> bytes:
    async with client.exchange(token_of()) as exchange:
        return await exchange.challenge()


async def test_sends_its_token_as_bearer(exchange: Exchange, operator: FakeOperator) -> None:
    await exchange.challenge()
    assert operator.tokens == [(CHALLENGES_PATH, token_of())]


async def test_shows_no_token_in_its_repr(exchange: Exchange) -> None:
    assert token_of() not in repr(exchange)


async def test_returns_the_challenge_as_received(
    exchange: Exchange, operator: FakeOperator
) -> None:
    operator.once(CHALLENGES_PATH, answer(encode(ChallengeAnswer(challenge=b"as it came"))))
    assert await exchange.challenge() == b"as it came"


async def test_takes_an_answer_in_which_a_later_operator_says_more(
    exchange: Exchange, operator: FakeOperator
) -> None:
    operator.once(CHALLENGES_PATH, answer(b'{"challenge":"YXMgaXQgY2FtZQ==","added":{"x":1}}'))
    assert await exchange.challenge() == b"as it came"


async def test_an_operator_of_another_protocol_is_heard_out(
    exchange: Exchange, operator: FakeOperator
) -> None:
    operator.once(CHALLENGES_PATH, refuse(400, "ProtocolUnsupported"))
    with pytest.raises(OperatorRefused) as caught:
        await exchange.challenge()
    assert (caught.value.refused_for, caught.value.expected) == ("ProtocolUnsupported", "better")


async def test_refuses_an_oversized_answer(exchange: Exchange, operator: FakeOperator) -> None:
    operator.once(CHALLENGES_PATH, answer(b" " * (MAX_ANSWER_BYTES + 1)))
    with pytest.raises(MessageTooLarge):
        await exchange.challenge()


async def test_stops_reading_an_answer_without_end(
    exchange: Exchange, operator: FakeOperator
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(8192))

    operator.once(CHALLENGES_PATH, endless)
    with pytest.raises(MessageTooLarge):
        await exchange.challenge()


async def test_does_not_unpack_a_compressed_answer(
    exchange: Exchange, operator: FakeOperator
) -> None:
    bomb = gzip.compress(bytes(10 * MAX_ANSWER_BYTES))
    operator.once(CHALLENGES_PATH, answer(bomb, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(MessageMalformed):
        await exchange.challenge()


async def test_refuses_an_answer_that_is_another_message(
    exchange: Exchange, operator: FakeOperator
) -> None:
    operator.once(CHALLENGES_PATH, answer(encode(receipt())))
    with pytest.raises(MessageMalformed):
        await exchange.challenge()


async def test_does_not_follow_a_redirect(exchange: Exchange, operator: FakeOperator) -> None:
    operator.once(CHALLENGES_PATH, answer(b"", status=307, headers={"Location": "/elsewhere"}))
    with pytest.raises(AnswerUnexpected, match="observed status 307"):
        await exchange.challenge()
    assert operator.paths == [CHALLENGES_PATH]


async def test_a_redirect_is_no_refusal_whatever_its_body_says(
    exchange: Exchange, operator: FakeOperator
) -> None:
    operator.once(CHALLENGES_PATH, refuse(302, "Overloaded"))
    with pytest.raises(AnswerUnexpected):
        await exchange.challenge()


async def test_refuses_the_error_page_of_something_else(
    exchange: Exchange, operator: FakeOperator
) -> None:
    operator.once(CHALLENGES_PATH, answer(b"<html>Bad Gateway</html>", status=502))
    with pytest.raises(AnswerUnexpected, match="observed status 502"):
        await exchange.challenge()


async def test_tells_why_it_was_refused(exchange: Exchange, operator: FakeOperator) -> None:
    operator.once(CHALLENGES_PATH, refuse(401, "TokenRejected"))
    with pytest.raises(OperatorRefused, match="expected better") as caught:
        await exchange.challenge()
    assert (caught.value.status, caught.value.refused_for) == (401, "TokenRejected")


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("7", None, 7.0),
        (None, 9, 9.0),
        ("7", 9, 7.0),
        (None, None, None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 9, 9.0),
        ("-1", None, None),
        ("9" * 400, None, 999_999_999.0),
    ],
)
async def test_reads_when_to_come_again(
    exchange: Exchange,
    operator: FakeOperator,
    header: str | None,
    body: int | None,
    seconds: float | None,
) -> None:
    operator.once(CHALLENGES_PATH, refuse(429, "Overloaded", retry_after=body, header=header))
    with pytest.raises(OperatorRefused) as caught:
        await exchange.challenge()
    assert caught.value.retry_after_seconds == seconds


async def test_a_lost_answer_is_unreachable(exchange: Exchange, operator: FakeOperator) -> None:
    operator.once(CHALLENGES_PATH, hang_up)
    with pytest.raises(OperatorUnreachable):
        await exchange.challenge()


async def test_a_late_answer_is_unreachable(operator: FakeOperator, ca_file: Path) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    operator.once(CHALLENGES_PATH, never)
    with pytest.raises(OperatorUnreachable, match="observed TimeoutError"):
        await ask_once(OperatorClient(operator.url, ca_file, request_seconds=0.05))


async def test_a_stopped_operator_is_unreachable(
    client: OperatorClient, operator: FakeOperator
) -> None:
    await operator.stop()
    with pytest.raises(OperatorUnreachable, match="Connect call failed"):
        await ask_once(client)


async def test_a_wrong_ca_is_named(
    client: OperatorClient, ca_file: Path, other_authority: Authority, operator: FakeOperator
) -> None:
    overwrite(ca_file, other_authority.pem)
    with pytest.raises(OperatorUntrusted, match="observed unable to get local issuer"):
        await ask_once(client)
    assert operator.tokens == []


async def test_a_certificate_for_another_name_is_refused(
    operator: FakeOperator, ca_file: Path
) -> None:
    by_name = operator.url.replace("127.0.0.1", "localhost")
    with pytest.raises(OperatorUntrusted, match="localhost"):
        await ask_once(OperatorClient(by_name, ca_file))


async def test_a_server_without_tls_gets_no_token(ca_file: Path) -> None:
    received = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1024))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OperatorUntrusted):
            await ask_once(OperatorClient(f"https://127.0.0.1:{port}", ca_file))
    assert token_of().encode() not in b"".join(received)


async def test_a_ca_that_was_rotated_on_disk_is_picked_up(
    client: OperatorClient,
    ca_file: Path,
    other_authority: Authority,
    operator: FakeOperator,
    tmp_path: Path,
) -> None:
    await operator.stop()
    await operator.start(other_authority.server_context(tmp_path))
    with pytest.raises(OperatorUntrusted):
        await ask_once(client)
    overwrite(ca_file, other_authority.pem)
    assert await ask_once(client)


@pytest.mark.parametrize("content", [b"", b"not PEM", b"\xff", b" " * (1024 * 1024 + 1)])
async def test_a_ca_file_without_certificates_trusts_nobody(
    client: OperatorClient, ca_file: Path, content: bytes
) -> None:
    overwrite(ca_file, content)
    with pytest.raises(CABundleUnusable):
        await ask_once(client)


async def test_a_ca_file_that_is_missing_trusts_nobody(
    operator: FakeOperator, tmp_path: Path
) -> None:
    client = OperatorClient(operator.url, tmp_path / "none")
    with pytest.raises(CABundleUnusable, match="No such file"):
        await ask_once(client)


async def test_takes_no_proxy_from_the_environment(
    client: OperatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert await ask_once(client)
