"""Reading against an API server in memory, and looking again until nothing has failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.fake_api import FakeApi, Request
from fakes.virtual_time import VirtualTime
from nodeproof_operator.check.command import look
from nodeproof_operator.check.findings import Level
from nodeproof_operator.check.reading import Reader
from nodeproof_operator.check.seen import Seen
from nodeproof_operator.cluster.errors import Forbidden, NotFound
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.objects import ACCESS_REVIEWS, config_map, lease, pod
from unit.check.sound import AGENTS, NAMESPACE, PLACE, sound

LEASE = lease(NAMESPACE, "nodeproof-operator")


class Reviewing(FakeApi):
    """One that answers access reviews: all is allowed but secrets."""

    async def call(self, method: str, path: str, body: object = None, **options: object) -> Json:
        if path == ACCESS_REVIEWS:
            assert isinstance(body, dict)
            asked = body["spec"]["resourceAttributes"]
            return {"status": {"allowed": asked["resource"] != "secrets"}}
        return await super().call(method, path, body, **options)  # type: ignore[arg-type]  # as given


@pytest.fixture
def api() -> FakeApi:
    made = Reviewing()
    made.put(LEASE, {"spec": {"holderIdentity": "operator-1", "renewTime": "1"}})
    made.put(config_map(AGENTS, "nodeproof-ca"), {"data": {"ca.crt": "PEM"}})
    return made


async def asked(url: str, ca: str) -> str:
    return f"asked {url} with {ca}"


async def read(api: FakeApi) -> Seen:
    async def skip(_: float) -> None:
        return None

    return await Reader(api, PLACE, asked, skip).read()


async def test_what_is_missing_is_kept_as_the_reason(api: FakeApi) -> None:
    seen = await read(api)
    assert isinstance(seen.deployment, NotFound)
    assert isinstance(seen.daemon_set, NotFound)


async def test_what_may_not_be_read_does_not_stop_the_rest(api: FakeApi) -> None:
    api.fail_next(Forbidden("no", status=403), path="/api/v1/nodes")
    seen = await read(api)
    assert isinstance(seen.nodes, Forbidden)
    assert not isinstance(seen.ca, NotFound)


async def test_the_service_is_asked_with_the_published_ca(api: FakeApi) -> None:
    assert (await read(api)).service_trouble == f"asked {PLACE.url} with PEM"


async def test_the_service_is_not_asked_without_a_ca(api: FakeApi) -> None:
    api.put(config_map(AGENTS, "nodeproof-ca"), {})
    assert (await read(api)).service_trouble == "no CA is published"


async def test_rights_are_asked_of_the_api_server(api: FakeApi) -> None:
    rights = (await read(api)).rights
    assert {each.resource for each, allowed in rights.items() if not allowed} == {"secrets"}


async def test_a_lease_that_changes_is_renewed(api: FakeApi) -> None:
    looks = 0

    async def renew(request: Request) -> None:
        nonlocal looks
        looks += request.path == LEASE
        api.put(LEASE, {"spec": {"holderIdentity": "operator-1", "renewTime": str(looks // 3)}})

    api.before = renew
    assert (await read(api)).lease_renewed


async def test_a_lease_that_stays_as_it_is_is_not_renewed(api: FakeApi) -> None:
    assert not (await read(api)).lease_renewed


async def test_only_pods_with_the_agents_label_are_taken(api: FakeApi) -> None:
    labels = {"app.kubernetes.io/name": "nodeproof-agent"}
    api.put(pod(AGENTS, "ours"), {"metadata": {"labels": labels}})
    api.put(pod(AGENTS, "another"), {})
    pods = (await read(api)).agent_pods
    assert not isinstance(pods, NotFound | Forbidden)
    assert [each["metadata"]["name"] for each in list(pods)] == ["ours"]  # type: ignore[arg-type]  # narrowed


async def test_looks_again_until_nothing_has_failed() -> None:
    time, looks = VirtualTime(), 0

    async def improving() -> Seen:
        nonlocal looks
        looks += 1
        return sound() if looks == 3 else replace(sound(), service_trouble="not yet")

    async def pass_time(seconds: float) -> None:
        time.jump(seconds)

    found = await look(improving, 60, clock=time.clock, sleep=pass_time)
    assert looks == 3
    assert {each.level for each in found} == {Level.OK}


@pytest.mark.parametrize(("seconds", "looks"), [(0, 1), (5, 3)])
async def test_looks_no_longer_than_told(seconds: float, looks: int) -> None:
    time, taken = VirtualTime(), 0

    async def never() -> Seen:
        nonlocal taken
        taken += 1
        return replace(sound(), service_trouble="never")

    async def pass_time(pause: float) -> None:
        time.jump(pause)

    found = await look(never, seconds, clock=time.clock, sleep=pass_time)
    assert taken == looks
    assert Level.FAILED in {each.level for each in found}
