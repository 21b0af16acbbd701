"""Who gets a challenge: every way in which a caller is not our agent on a live node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import LogCapture

from fakes.fake_api import FakeApi
from fakes.intake import AGENTS, NOW, Agent, Replica, Time, add_agent, review_of, token_of
from nodeproof.errors import TokenRejected
from nodeproof.protocol import CHALLENGES_PATH
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.cluster.objects import AGENT, TOKEN_REVIEWS, daemon_set, node, pod
from nodeproof_operator.intake.admission import RefusedTokens
from nodeproof_operator.intake.identity import Authenticator

TOKEN = token_of("agent-1")
NODE = node("node-1")
POD = pod(AGENTS, "agent-1")


async def refusal_of(agent: Agent) -> tuple[int, str]:
    answered = await agent.ask()
    return answered.status, answered.refusal.reason


def change(api: FakeApi, path: str, part: str, **values: Any) -> None:
    body = api.read(path)
    body.setdefault(part, {}).update(values)
    api.put(path, body)


async def test_no_token(operator: Replica) -> None:
    async with operator.session.post(operator.url + CHALLENGES_PATH, data=b"{}") as response:
        assert (response.status, (await response.json())["reason"]) == (401, "TokenMissing")
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_of_another_audience_costs_no_token_review(
    operator: Replica, api: FakeApi
) -> None:
    answered = await operator.agent().post(
        CHALLENGES_PATH, b'{"protocol":1}', token_of("agent-1", aud=["vault"])
    )
    assert (answered.status, answered.refusal.reason) == (401, "TokenRejected")
    assert not api.sent("POST", TOKEN_REVIEWS)


async def test_an_expired_token_costs_no_token_review(operator: Replica, api: FakeApi) -> None:
    token = token_of("agent-1", exp=NOW.timestamp() - 3600)
    answered = await operator.agent().post(CHALLENGES_PATH, b'{"protocol":1}', token)
    assert (answered.status, answered.refusal.reason) == (401, "TokenRejected")
    assert not api.sent("POST", TOKEN_REVIEWS)


async def test_a_token_that_the_api_server_does_not_know(api: FakeApi, agent: Agent) -> None:
    del api.token_reviews[TOKEN]
    assert await refusal_of(agent) == (401, "TokenRejected")


@dataclass(frozen=True)
class WithoutAudiences:
    """An API server that knows no audiences and says yes to anyone's token."""

    api: FakeApi

    async def call(self, method: str, path: str, *rest: Any, **options: Any) -> dict[str, Any]:
        if path == TOKEN_REVIEWS:
            return {"status": review_of(1) | {"audiences": None}}
        return await self.api.call(method, path, *rest, **options)


async def test_a_review_that_does_not_name_our_audience(api: FakeApi, time: Time) -> None:
    refused = RefusedTokens(time.monotonic)
    authenticator = Authenticator(WithoutAudiences(api), AGENTS, refused, time.now)
    with pytest.raises(TokenRejected, match="audience"):
        await authenticator.authenticate(TOKEN)


async def test_a_review_that_does_not_say_yes(api: FakeApi, agent: Agent) -> None:
    """The API server leaves ``authenticated`` out instead of saying no."""
    review = review_of(1)
    del review["authenticated"]
    api.token_reviews[TOKEN] = review
    assert await refusal_of(agent) == (401, "TokenRejected")


async def test_another_service_account(api: FakeApi, agent: Agent) -> None:
    review = review_of(1)
    review["user"]["username"] = f"system:serviceaccount:{AGENTS}:default"
    api.token_reviews[TOKEN] = review
    answered = await agent.ask()
    assert (answered.status, answered.refusal.reason) == (403, "NotTheAgent")
    assert answered.refusal.expected.endswith(":nodeproof-agent")
    assert answered.refusal.observed.endswith(":default")


async def test_the_agents_account_in_another_namespace(api: FakeApi, agent: Agent) -> None:
    review = review_of(1)
    review["user"]["username"] = f"system:serviceaccount:default:{AGENT}"
    api.token_reviews[TOKEN] = review
    assert await refusal_of(agent) == (403, "NotTheAgent")


@pytest.mark.parametrize("fact", ["node-name", "node-uid", "pod-name", "pod-uid"])
@pytest.mark.parametrize("values", [None, [], [""], ["a", "b"]])
async def test_a_token_that_is_not_bound(
    api: FakeApi, agent: Agent, fact: str, values: list[str] | None
) -> None:
    api.token_reviews[TOKEN] = review_of(1, **{fact: values})
    assert await refusal_of(agent) == (403, "NotTheAgent")


@pytest.mark.parametrize("name", ["../../secrets", "Node-1", "a/b", "-a", "a?b"])
async def test_a_name_that_would_change_the_path(api: FakeApi, agent: Agent, name: str) -> None:
    api.token_reviews[TOKEN] = review_of(1, **{"node-name": [name]})
    assert await refusal_of(agent) == (403, "NotTheAgent")


async def test_a_node_that_is_gone(api: FakeApi, agent: Agent) -> None:
    api.remove(NODE)
    assert await refusal_of(agent) == (403, "NodeUnknown")


async def test_a_node_that_was_created_again(api: FakeApi, agent: Agent) -> None:
    change(api, NODE, "metadata", uid="node-uid-new")
    answered = await agent.ask()
    assert (answered.status, answered.refusal.reason) == (403, "NodeUnknown")
    assert (answered.refusal.expected, answered.refusal.observed) == ("node-uid-1", "node-uid-new")


async def test_a_node_that_is_being_deleted(api: FakeApi, agent: Agent) -> None:
    change(api, NODE, "metadata", deletionTimestamp="2026-03-02T12:00:00Z")
    assert await refusal_of(agent) == (403, "NodeUnknown")


async def test_a_pod_that_is_gone(api: FakeApi, agent: Agent) -> None:
    api.remove(POD)
    assert await refusal_of(agent) == (403, "PodUnknown")


async def test_a_pod_that_was_created_again(api: FakeApi, agent: Agent) -> None:
    change(api, POD, "metadata", uid="pod-uid-new")
    assert await refusal_of(agent) == (403, "PodUnknown")


async def test_a_pod_that_is_ending(api: FakeApi, agent: Agent) -> None:
    change(api, POD, "metadata", deletionTimestamp="2026-03-02T12:00:00Z")
    assert await refusal_of(agent) == (403, "PodUnknown")


@pytest.mark.parametrize("place", ["node-2", "", None])
async def test_a_pod_on_another_node_or_on_none(
    api: FakeApi, agent: Agent, place: str | None
) -> None:
    change(api, POD, "spec", nodeName=place)
    assert await refusal_of(agent) == (403, "PodUnknown")


@pytest.mark.parametrize(
    "owner",
    [
        {"uid": "another-daemon-set"},
        {"kind": "ReplicaSet"},
        {"apiVersion": "apps.example.com/v1"},
        {"controller": False},
    ],
)
async def test_a_pod_that_is_not_the_daemon_sets(
    api: FakeApi, agent: Agent, owner: dict[str, Any]
) -> None:
    body = api.read(POD)
    body["metadata"]["ownerReferences"][0] |= owner
    api.put(POD, body)
    assert await refusal_of(agent) == (403, "PodUnknown")


async def test_a_pod_that_somebody_made_by_hand(api: FakeApi, agent: Agent) -> None:
    change(api, POD, "metadata", ownerReferences=None)
    assert await refusal_of(agent) == (403, "PodUnknown")


async def test_a_daemon_set_that_is_gone(api: FakeApi, agent: Agent) -> None:
    api.remove(daemon_set(AGENTS, AGENT))
    assert await refusal_of(agent) == (403, "PodUnknown")


async def test_a_refused_token_is_not_reviewed_again_for_a_while(
    api: FakeApi, time: Time, agent: Agent
) -> None:
    del api.token_reviews[TOKEN]
    first = await refusal_of(agent)
    second = await refusal_of(agent)
    assert first == second
    assert len(api.sent("POST", TOKEN_REVIEWS)) == 1
    time.pass_by(seconds=10)
    await refusal_of(agent)
    assert len(api.sent("POST", TOKEN_REVIEWS)) == 2


async def test_an_agent_that_was_refused_is_accepted_once_its_reason_is_gone(
    api: FakeApi, time: Time, agent: Agent
) -> None:
    api.remove(POD)
    await refusal_of(agent)
    add_agent(api, 1)
    time.pass_by(seconds=10)
    assert (await agent.attest()).status == 200


@pytest.mark.parametrize("path", [TOKEN_REVIEWS, NODE, POD, daemon_set(AGENTS, AGENT)])
async def test_api_trouble_is_no_verdict(
    operator: Replica, api: FakeApi, agent: Agent, path: str
) -> None:
    api.fail_next(Unreachable("no answer", status=0), path=path)
    answered = await agent.ask()
    assert (answered.status, answered.refusal.reason) == (503, "Overloaded")
    assert answered.headers["Retry-After"] == "5"
    assert operator.observed.attempts == [("deferred", "Overloaded", "")]
    assert (await agent.ask()).status == 200


async def test_no_refusal_ever_shows_the_token(api: FakeApi, agent: Agent, log: LogCapture) -> None:
    del api.token_reviews[TOKEN]
    answered = await agent.ask()
    assert log.entries[-1]["reason"] == "TokenRejected"
    assert TOKEN not in answered.body.decode() + repr(log.entries)
