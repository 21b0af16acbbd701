"""What a caller can take from others: bytes, time, places. Over real sockets."""

from __future__ import annotations

import asyncio
import json

import pytest
from structlog.testing import LogCapture

from fakes.fake_api import FakeApi
from fakes.intake import Agent, Options, Replica, Time, record_of, replica, token_of
from nodeproof.protocol import CHALLENGES_PATH, EVIDENCE_PATH, MAX_REQUEST_BYTES
from nodeproof_operator.cluster.errors import Conflict, Throttled, Unreachable
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.objects import TOKEN_REVIEWS
from nodeproof_operator.intake.admission import Rate

HEADERS = f"Host: x\r\nAuthorization: Bearer {token_of('agent-1')}\r\n"


async def talk(port: int, text: str) -> tuple[int, Json]:
    """Send this and no more; return what is answered, status 0 if the server just closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        return int(head.split()[1]), json.loads(await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return 0, {}
    finally:
        writer.close()


def post(path: str, *headers: str) -> str:
    return f"POST {path} HTTP/1.1\r\nConnection: close\r\n{HEADERS}" + "".join(
        f"{each}\r\n" for each in headers
    )


async def test_a_body_that_says_it_is_too_large_is_not_read(operator: Replica) -> None:
    request = post(EVIDENCE_PATH, f"Content-Length: {MAX_REQUEST_BYTES + 1}") + "\r\n"
    status, refusal = await talk(operator.port, request)
    assert (status, refusal["reason"]) == (413, "MessageTooLarge")


async def test_a_body_that_does_not_say_so_is_read_to_the_limit(operator: Replica) -> None:
    async def endless() -> object:
        for _ in range(3):
            yield bytes(MAX_REQUEST_BYTES // 2)

    headers = {"Authorization": f"Bearer {token_of('agent-1')}"}
    url = operator.url + EVIDENCE_PATH
    async with operator.session.post(url, data=endless(), headers=headers) as response:
        assert (response.status, (await response.json())["reason"]) == (413, "MessageTooLarge")


async def test_a_body_of_exactly_the_limit_is_looked_at(agent: Agent) -> None:
    answered = await agent.post(EVIDENCE_PATH, b" " * MAX_REQUEST_BYTES)
    assert answered.refusal.reason == "MessageMalformed"


async def test_a_compressed_body_is_not_unpacked(operator: Replica) -> None:
    request = post(EVIDENCE_PATH, "Content-Encoding: gzip", "Content-Length: 2") + "\r\nab"
    status, refusal = await talk(operator.port, request)
    assert (status, refusal["reason"]) == (400, "MessageMalformed")


async def test_a_slow_body_is_cut_off(api: FakeApi, time: Time) -> None:
    async with replica(api, time, Options(body_seconds=0.05)) as hasty:
        status, refusal = await talk(
            hasty.port, post(EVIDENCE_PATH, "Content-Length: 100") + "\r\n{"
        )
    assert (status, refusal["reason"]) == (408, "RequestTooSlow")
    assert hasty.observed.attempts == [("refused", "RequestTooSlow", "")]


async def test_headers_that_never_end_are_cut_off(api: FakeApi, time: Time) -> None:
    async with replica(api, time, Options(idle_seconds=0.05)) as hasty:
        status, _ = await talk(hasty.port, post(EVIDENCE_PATH))
    assert status == 0


async def test_a_caller_that_hangs_up_does_no_harm(
    operator: Replica, agent: Agent, log: LogCapture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", operator.port)
    writer.write((post(EVIDENCE_PATH, "Content-Length: 100") + "\r\n{").encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await agent.attest()).status == 200
    assert not [each for each in log.entries if "exception" in each]


async def test_an_enormous_header_is_refused(operator: Replica, agent: Agent) -> None:
    async with operator.session.post(
        operator.url + CHALLENGES_PATH, headers={"Authorization": "Bearer " + "x" * 20_000}
    ) as response:
        assert response.status == 400
    assert (await agent.ask()).status == 200


async def test_an_address_that_asks_too_often_is_held_back(api: FakeApi, time: Time) -> None:
    rate = Rate(per_second=0.5, burst=2, callers=10)
    async with replica(api, time, Options(address_rate=rate)) as strict:
        agent = strict.agent()
        answers = [await agent.ask() for _ in range(3)]
        assert [each.status for each in answers] == [200, 200, 429]
        assert (answers[2].refusal.reason, answers[2].headers["Retry-After"]) == (
            "RateLimited",
            "2",
        )
        assert strict.observed.attempts == [("deferred", "RateLimited", "")]
        time.pass_by(seconds=2)
        assert (await agent.ask()).status == 200


async def test_a_flood_is_turned_away_before_any_token_review(api: FakeApi, time: Time) -> None:
    rate = Rate(per_second=0.5, burst=1, callers=10)
    async with replica(api, time, Options(address_rate=rate)) as strict:
        for _ in range(5):
            await strict.agent().ask()
    assert len(api.sent("POST", TOKEN_REVIEWS)) == 1


async def test_a_node_that_asks_too_often_does_not_hold_back_another(
    api: FakeApi, time: Time
) -> None:
    rate = Rate(per_second=0.5, burst=2, callers=10)
    async with replica(api, time, Options(node_rate=rate)) as strict:
        assert [(await strict.agent(1).ask()).status for _ in range(3)] == [200, 200, 429]
        assert (await strict.agent(2).attest()).status == 200


async def test_answers_count_against_their_node_too(api: FakeApi, time: Time) -> None:
    rate = Rate(per_second=0.5, burst=2, callers=10)
    async with replica(api, time, Options(node_rate=rate)) as strict:
        agent = strict.agent()
        submission = agent.evidence(await agent.challenge())
        statuses = [(await agent.submit(submission)).status for _ in range(2)]
    assert statuses == [200, 429]


async def test_more_requests_at_once_than_there_are_places(api: FakeApi, time: Time) -> None:
    async with replica(api, time, Options(max_requests=0)) as full:
        answered = await full.agent().ask()
    assert (answered.status, answered.refusal.reason) == (503, "Overloaded")


async def test_an_unknown_path(agent: Agent) -> None:
    answered = await agent.post("/v1/nothing", b"")
    assert (answered.status, answered.refusal.reason) == (404, "NotFound")


async def test_a_method_that_is_not_served(operator: Replica) -> None:
    async with operator.session.get(operator.url + EVIDENCE_PATH) as response:
        assert (response.status, (await response.json())["reason"]) == (405, "MethodNotAllowed")


async def test_a_fault_of_ours_is_logged_and_not_told(
    operator: Replica,
    api: FakeApi,
    agent: Agent,
    log: LogCapture,
) -> None:
    api.fail_next(ZeroDivisionError("a secret of the house"))
    answered = await agent.ask()
    assert (answered.status, answered.refusal.reason) == (500, "InternalError")
    assert b"secret of the house" not in answered.body
    assert "secret of the house" in log.entries[-1]["exception"]
    assert operator.observed.attempts == [("deferred", "InternalError", "")]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_an_answer_survives_an_api_server_that_is_away(
    api: FakeApi, agent: Agent, method: str
) -> None:
    submission = agent.evidence(await agent.challenge())
    api.fail_next(Unreachable("no answer", status=0), method=method)
    deferred = await agent.submit(submission)
    assert (deferred.status, deferred.refusal.reason) == (503, "Overloaded")
    assert (await agent.submit(submission)).status == 200
    assert record_of(api).status.sequence == 1


async def test_a_throttled_api_server_sets_the_pace(api: FakeApi, agent: Agent) -> None:
    api.fail_next(Throttled("slow down", status=429, retry_after_seconds=17))
    answered = await agent.ask()
    assert (answered.status, answered.headers["Retry-After"]) == (503, "17")


async def test_a_refusal_that_cannot_be_recorded_is_deferred(api: FakeApi, agent: Agent) -> None:
    api.fail_next(Unreachable("no answer", status=0), method="PATCH")
    assert (await agent.attest(boot_id="another-boot")).status == 503


async def test_a_record_that_others_write_all_the_time(api: FakeApi, agent: Agent) -> None:
    submission = agent.evidence(await agent.challenge())
    api.fail_next(Conflict("modified", status=409), method="PATCH", times=5)
    assert (await agent.submit(submission)).status == 503
    assert (await agent.submit(submission)).status == 200


async def test_a_full_line_before_the_verification(api: FakeApi, time: Time) -> None:
    async with replica(api, time) as busy:
        agent = busy.agent()
        submission = agent.evidence(await agent.challenge())
        pool = busy.intake.service.pool
        while pool._places.acquire(blocking=False):
            pass
        answered = await agent.submit(submission)
        pool._places.release()
        assert (answered.status, answered.headers["Retry-After"]) == (503, "2")
        assert (await agent.submit(submission)).status == 200
    assert record_of(api).status.last_refusal is None
