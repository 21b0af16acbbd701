"""Agents without evidence: who may say why, how often, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import LogCapture

from fakes.fake_api import FakeApi
from fakes.intake import (
    AGENTS,
    DAEMON_SET_UID,
    INTERVAL_SECONDS,
    NOW,
    Agent,
    Options,
    Replica,
    Time,
    before_next,
    record_of,
    replica,
    review_of,
    token_of,
    touch,
)
from nodeproof.protocol import (
    MAX_MESSAGE_LENGTH,
    MAX_UNAVAILABILITY_BYTES,
    UNAVAILABLE_PATH,
    UnavailabilityReceipt,
    decode,
)
from nodeproof.result import Unavailable
from nodeproof.unavailability import Cause
from nodeproof_operator.cluster.errors import Conflict, Unreachable
from nodeproof_operator.cluster.objects import (
    AGENT,
    NODE_ATTESTATIONS,
    TOKEN_REVIEWS,
    daemon_set,
    node,
    node_attestation,
    pod,
)
from nodeproof_operator.intake.admission import Rate


def said(api: FakeApi, number: int = 1) -> Unavailable | None:
    return record_of(api, number).status.unavailable


def writes(api: FakeApi) -> int:
    return len(api.sent("PATCH", NODE_ATTESTATIONS))


def put_status(api: FakeApi, **status: Any) -> None:
    """Change the stored status of the node's NodeAttestation."""
    body = api.read(node_attestation("node-1"))
    body["status"] = body.get("status", {}) | status
    api.put(node_attestation("node-1"), body)


@pytest.mark.parametrize("cause", Cause)
async def test_what_an_agent_says_is_kept(api: FakeApi, agent: Agent, cause: Cause) -> None:
    answered = await agent.excuse(cause, "expected this, observed that")
    assert answered.status == 200
    assert said(api) == Unavailable(NOW, str(cause), "expected this, observed that")


async def test_says_when_to_look_again(agent: Agent) -> None:
    seconds = decode((await agent.excuse()).body, UnavailabilityReceipt).next_seconds
    assert abs(seconds - INTERVAL_SECONDS) <= INTERVAL_SECONDS / 10


async def test_needs_no_challenge_before(api: FakeApi, agent: Agent) -> None:
    await agent.excuse()
    assert record_of(api).node_uid == "node-uid-1"


async def test_keeps_the_evidence_and_the_refusal(api: FakeApi, agent: Agent) -> None:
    await agent.attest()
    await agent.attest(boot_id="another-boot")
    before = record_of(api).status
    await agent.excuse()
    after = record_of(api).status
    assert (after.evidence, after.last_refusal) == (before.evidence, before.last_refusal)


@pytest.mark.parametrize(
    "changes", [{}, {"boot_id": "another-boot"}, {"certificates": b""}], ids=str
)
async def test_evidence_of_any_kind_ends_it(
    api: FakeApi, agent: Agent, changes: dict[str, Any]
) -> None:
    await agent.excuse()
    await agent.attest(**changes)
    assert said(api) is None


async def test_the_same_is_not_written_again_within_five_minutes(
    api: FakeApi, time: Time, agent: Agent
) -> None:
    for seconds in (299, 1):
        assert (await agent.excuse()).status == 200
        time.pass_by(seconds=seconds)
    assert writes(api) == 1
    await agent.excuse()
    assert writes(api) == 2


async def test_another_cause_is_written_at_once(api: FakeApi, agent: Agent) -> None:
    await agent.excuse(Cause.FIRMWARE_BUSY)
    await agent.excuse(Cause.KEY_DISABLED)
    stored = said(api)
    assert stored is not None
    assert stored.cause == "KeyDisabled"


@pytest.mark.parametrize(
    "planted",
    [
        {"time": "9998-01-01T00:00:00Z", "cause": "KeyDisabled"},
        {"time": "2026-03-02T12:00:00", "cause": "KeyDisabled"},
        {"time": "2026-03-02T12:00:00Z", "cause": "WordOfALaterRelease"},
    ],
    ids=["dated ahead", "without a zone", "a word that we do not have"],
)
async def test_what_we_would_not_have_written_is_replaced(
    api: FakeApi, agent: Agent, planted: dict[str, str]
) -> None:
    await agent.ask()
    put_status(api, unavailable=planted)
    await agent.excuse(message="new")
    assert said(api) == Unavailable(NOW, "KeyDisabled", "new")


async def test_a_word_of_a_later_release_does_not_hide_the_evidence_beside_it(
    api: FakeApi, agent: Agent
) -> None:
    await agent.attest()
    planted = {"time": "2026-03-02T12:00:00Z", "cause": "WordOfALaterRelease"}
    put_status(api, unavailable=planted)
    assert record_of(api).status.sequence == 1


async def test_what_a_terminal_obeys_is_escaped(api: FakeApi, agent: Agent) -> None:
    await agent.excuse(message="\x1b[2J" * 100)
    stored = said(api)
    assert stored is not None
    assert stored.message == "\\x1b[2J" * 100


async def test_what_grows_by_escaping_still_fits(api: FakeApi, agent: Agent) -> None:
    answered = await agent.excuse(message="\x00" * MAX_MESSAGE_LENGTH)
    stored = said(api)
    assert answered.status == 200
    assert stored is not None
    assert len(stored.message) == MAX_MESSAGE_LENGTH


async def test_a_write_of_somebody_else_in_between_does_not_lose_it(
    api: FakeApi, agent: Agent
) -> None:
    await agent.ask()
    api.before = before_next("PATCH", lambda: touch(api))
    assert (await agent.excuse()).status == 200
    assert said(api) is not None


async def test_a_record_that_goes_in_between_is_made_anew(api: FakeApi, agent: Agent) -> None:
    await agent.ask()
    api.before = before_next("PATCH", lambda: api.remove(node_attestation("node-1")))
    assert (await agent.excuse()).status == 200
    assert said(api) is not None


async def test_a_record_that_others_write_all_the_time(api: FakeApi, agent: Agent) -> None:
    api.fail_next(Conflict("modified", status=409), method="PATCH", times=5)
    assert (await agent.excuse()).status == 503
    assert (await agent.excuse()).status == 200


@pytest.mark.parametrize("method", ["POST", "GET", "PATCH"])
async def test_an_api_server_that_is_away_is_a_reason_to_come_again(
    api: FakeApi, agent: Agent, method: str
) -> None:
    api.fail_next(Unreachable("no answer", status=0), method=method)
    assert (await agent.excuse()).status == 503


async def test_a_word_that_we_do_not_have_is_refused_with_those_that_we_have(
    api: FakeApi, agent: Agent
) -> None:
    answered = await agent.excuse("WordOfALaterRelease")
    assert (answered.status, answered.refusal.reason) == (400, "CauseUnknown")
    assert answered.refusal.observed == "WordOfALaterRelease"
    assert "NoPlatform" in answered.refusal.expected
    assert api.sent("POST", TOKEN_REVIEWS) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "MessageMalformed"),
        (b"[]", "MessageMalformed"),
        (b'{"protocol":1}', "MessageMalformed"),
        (b'{"protocol":99,"cause":"KeyDisabled"}', "ProtocolUnsupported"),
        (
            b'{"protocol":1,"cause":"KeyDisabled","message":"%s"}' % (b"x" * 1025),
            "MessageMalformed",
        ),
    ],
    ids=["empty", "no object", "no cause", "version", "message too long"],
)
async def test_a_body_that_is_no_message(
    api: FakeApi, agent: Agent, body: bytes, reason: str
) -> None:
    answered = await agent.post(UNAVAILABLE_PATH, body)
    assert (answered.status, answered.refusal.reason) == (400, reason)
    assert api.sent("POST", TOKEN_REVIEWS) == []


async def test_a_body_above_the_limit(api: FakeApi, agent: Agent) -> None:
    answered = await agent.post(UNAVAILABLE_PATH, b" " * (MAX_UNAVAILABILITY_BYTES + 1))
    assert (answered.status, answered.refusal.reason) == (413, "MessageTooLarge")
    assert api.sent("POST", TOKEN_REVIEWS) == []


def _review(**changes: Any) -> Callable[[FakeApi], None]:
    def change(api: FakeApi) -> None:
        api.token_reviews[token_of("agent-1")] = review_of(1) | changes

    return change


def _ending(api: FakeApi) -> None:
    body = api.read(pod(AGENTS, "agent-1"))
    body["metadata"] |= {"deletionTimestamp": "2026-03-02T12:00:00Z", "finalizers": ["x/y"]}
    api.put(pod(AGENTS, "agent-1"), body)


STRANGERS: dict[str, tuple[Callable[[FakeApi], object], int, str]] = {
    "token refused": (_review(authenticated=False), 401, "TokenRejected"),
    "another audience": (_review(audiences=["other"]), 401, "TokenRejected"),
    "another account": (_review(user={"username": "somebody"}), 403, "NotTheAgent"),
    "node gone": (lambda api: api.remove(node("node-1")), 403, "NodeUnknown"),
    "node re-created": (
        lambda api: api.put(node("node-1"), {"metadata": {"uid": "another"}}),
        403,
        "NodeUnknown",
    ),
    "pod gone": (lambda api: api.remove(pod(AGENTS, "agent-1")), 403, "PodUnknown"),
    "pod ending": (_ending, 403, "PodUnknown"),
    "not the DaemonSet's": (
        lambda api: api.put(
            daemon_set(AGENTS, AGENT), {"metadata": {"uid": DAEMON_SET_UID + "-2"}}
        ),
        403,
        "PodUnknown",
    ),
}


@pytest.mark.parametrize("who", STRANGERS)
async def test_nobody_but_an_agent_on_a_live_node_may_say_anything(
    api: FakeApi, agent: Agent, who: str
) -> None:
    change, status, reason = STRANGERS[who]
    change(api)
    answered = await agent.excuse()
    assert (answered.status, answered.refusal.reason) == (status, reason)
    assert writes(api) == 0


async def test_nobody_may_say_anything_without_a_token(operator: Replica) -> None:
    async with operator.session.post(operator.url + UNAVAILABLE_PATH, data=b"{}") as response:
        assert (response.status, (await response.json())["reason"]) == (401, "TokenMissing")


async def test_an_agent_speaks_of_its_own_node_only(api: FakeApi, operator: Replica) -> None:
    for number in (1, 2):
        await operator.agent(number).ask()
    await operator.agent(2).excuse()
    assert said(api, 1) is None
    assert said(api, 2) is not None


async def test_an_agent_that_complains_too_often_is_held_back(api: FakeApi, time: Time) -> None:
    rate = Rate(per_second=0.5, burst=2, callers=10)
    async with replica(api, time, Options(node_rate=rate)) as strict:
        assert [(await strict.agent(1).excuse()).status for _ in range(3)] == [200, 200, 429]
        assert (await strict.agent(2).excuse()).status == 200


async def test_is_observed_with_its_cause(operator: Replica, agent: Agent) -> None:
    await agent.excuse()
    assert operator.observed.attempts == [("unavailable", "KeyDisabled", "")]


async def test_is_logged_with_its_node_and_without_its_token(agent: Agent, log: LogCapture) -> None:
    await agent.excuse()
    line = log.entries[-1]
    assert (line["event"], line["node"], line["reason"], line["message"]) == (
        "agent has no evidence",
        "node-1",
        "KeyDisabled",
        "no key",
    )
    assert agent.token not in repr(log.entries)
