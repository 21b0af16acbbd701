"""The fake must refuse what the real API server refuses: other tests rest on it."""

from __future__ import annotations

import pytest

from fakes.fake_api import FakeApi
from nodeproof_operator.cluster.errors import Conflict, Invalid, NotFound, Unreachable
from nodeproof_operator.cluster.gateway import JSON_PATCH, MERGE_PATCH, list_all
from nodeproof_operator.cluster.objects import NODES, TOKEN_REVIEWS, node, node_attestation

NODE = node("node-1")
STATUS = f"{node_attestation('node-1')}/status"


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.put(NODE, {"metadata": {"labels": {"zone": "a"}}, "spec": {}, "status": {"phase": "x"}})
    return api


async def test_refuses_a_stale_resource_version(api: FakeApi) -> None:
    patch = {"metadata": {"resourceVersion": "999", "labels": {"zone": "b"}}}
    with pytest.raises(Conflict):
        await api.call("PATCH", NODE, patch, content_type=MERGE_PATCH)


async def test_takes_an_empty_resource_version_as_no_condition(api: FakeApi) -> None:
    patch = {"metadata": {"resourceVersion": "0", "uid": "", "labels": {"zone": "b"}}}
    answer = await api.call("PATCH", NODE, patch, content_type=MERGE_PATCH)
    assert answer["metadata"]["labels"] == {"zone": "b"}


async def test_refuses_another_uid(api: FakeApi) -> None:
    with pytest.raises(Invalid):
        await api.call("PATCH", NODE, {"metadata": {"uid": "other"}}, content_type=MERGE_PATCH)


async def test_ignores_the_uid_on_the_status_of_a_custom_resource(api: FakeApi) -> None:
    api.put(node_attestation("node-1"), {"spec": {"nodeName": "node-1"}})
    patch = {"metadata": {"uid": "other"}, "status": {"signer": "VCEK"}}
    answer = await api.call("PATCH", STATUS, patch, content_type=MERGE_PATCH)
    assert answer["status"] == {"signer": "VCEK"}


async def test_keeps_the_resource_version_when_nothing_changes(api: FakeApi) -> None:
    before = api.read(NODE)
    patch = {"metadata": {"labels": {"absent": None}, "managedFields": None}, "status": None}
    assert await api.call("PATCH", NODE, patch, content_type=MERGE_PATCH) == before


async def test_refuses_ordinary_patches_of_a_poisoned_node(api: FakeApi) -> None:
    api.put(NODE, {"status": {"conditions": [{"time": "10000-01-01T04:59:59Z"}]}})
    with pytest.raises(Invalid):
        await api.call("PATCH", NODE, {"metadata": {}}, content_type=MERGE_PATCH)
    await api.call("PATCH", NODE, {"metadata": {}, "status": None}, content_type=MERGE_PATCH)
    assert api.read(NODE)["status"]["conditions"]


async def test_refuses_a_json_patch_whose_test_fails(api: FakeApi) -> None:
    patch = [{"op": "test", "path": "/metadata/uid", "value": "other"}]
    with pytest.raises(Invalid):
        await api.call("PATCH", NODE, patch, content_type=JSON_PATCH)


async def test_lets_an_absent_member_pass_a_test_for_null(api: FakeApi) -> None:
    patch = [
        {"op": "test", "path": "/spec/taints", "value": None},
        {"op": "add", "path": "/spec/taints", "value": [{"key": "a/b"}]},
    ]
    answer = await api.call("PATCH", NODE, patch, content_type=JSON_PATCH)
    assert answer["spec"]["taints"] == [{"key": "a/b"}]


async def test_separates_status_from_the_rest(api: FakeApi) -> None:
    body = {"metadata": {"name": "n"}, "spec": {"nodeName": "n"}, "status": {"signer": "VCEK"}}
    created = await api.call("POST", node_attestation("").rstrip("/"), body)
    assert "status" not in created


async def test_refuses_to_create_what_exists(api: FakeApi) -> None:
    with pytest.raises(Conflict):
        await api.call("POST", NODES, {"metadata": {"name": "node-1"}})


async def test_lists_page_by_page(api: FakeApi) -> None:
    api.page_size = 2
    for name in ("node-2", "node-3"):
        api.put(node(name), {})
    listing = await list_all(api, NODES)
    assert [each["metadata"]["name"] for each in listing.items] == ["node-1", "node-2", "node-3"]
    assert len(api.requests) == 2


async def test_deletes_only_the_uid_that_was_meant(api: FakeApi) -> None:
    with pytest.raises(Conflict):
        await api.call("DELETE", NODE, {"preconditions": {"uid": "other"}})
    await api.call("DELETE", NODE, {"preconditions": {"uid": api.read(NODE)["metadata"]["uid"]}})
    with pytest.raises(NotFound):
        await api.call("GET", NODE)


async def test_fails_as_often_as_told(api: FakeApi) -> None:
    api.fail_next(Unreachable("gone", status=0), method="GET")
    with pytest.raises(Unreachable):
        await api.call("GET", NODE)
    assert await api.call("GET", NODE)


async def test_authenticates_no_token_of_another_audience(api: FakeApi) -> None:
    api.token_reviews["token"] = {"authenticated": True, "audiences": ["nodeproof"]}
    review = {"spec": {"token": "token", "audiences": ["other"]}}
    answer = await api.call("POST", TOKEN_REVIEWS, review)
    assert "authenticated" not in answer["status"]


async def test_collects_what_a_deleted_node_owned(api: FakeApi) -> None:
    owner = [{"uid": api.read(NODE)["metadata"]["uid"]}]
    api.put(node_attestation("node-1"), {"metadata": {"ownerReferences": owner}})
    api.remove(NODE)
    api.collect_garbage()
    assert not api.objects
