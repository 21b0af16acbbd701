from __future__ import annotations

import pytest

from fakes.fake_api import FakeApi
from nodeproof_operator.cluster.crds import CrdsMissing, wait_for_crds
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.kinds import CUSTOM_KINDS
from nodeproof_operator.cluster.objects import custom_resource_definition


class Pauses:
    """Stands for sleeping; applies the CRDs during the second pause if told to."""

    def __init__(self, api: FakeApi, *, then_apply: bool = False) -> None:
        self.count = 0
        self._api = api
        self._then_apply = then_apply

    async def __call__(self, seconds: float) -> None:
        assert seconds > 0
        self.count += 1
        if self._then_apply and self.count == 2:
            apply_crds(self._api)


def crd(*, established: str = "True", served: bool = True) -> Json:
    return {
        "spec": {"versions": [{"name": "v1alpha1", "served": served}]},
        "status": {"conditions": [{"type": "Established", "status": established}]},
    }


def apply_crds(api: FakeApi) -> None:
    for kind in CUSTOM_KINDS:
        api.put(custom_resource_definition(kind.value), crd())


async def test_returns_at_once_when_all_are_served() -> None:
    api = FakeApi()
    apply_crds(api)
    pauses = Pauses(api)
    await wait_for_crds(api, sleep=pauses)
    assert pauses.count == 0


async def test_waits_until_they_are_applied() -> None:
    api = FakeApi()
    pauses = Pauses(api, then_apply=True)
    await wait_for_crds(api, sleep=pauses)
    assert pauses.count == 2


async def test_waits_through_trouble_with_the_api_server() -> None:
    api = FakeApi()
    apply_crds(api)
    api.fail_next(Unreachable("gone", status=0))
    pauses = Pauses(api)
    await wait_for_crds(api, sleep=pauses)
    assert pauses.count == 1


async def test_says_what_to_apply_in_the_end() -> None:
    api = FakeApi()
    with pytest.raises(CrdsMissing, match="apply crds/") as caught:
        await wait_for_crds(api, sleep=Pauses(api))
    assert "nodeattestations: NotFound" in caught.value.observed


@pytest.mark.parametrize(
    ("unready", "trouble"),
    [
        (crd(established="False"), "not established"),
        (crd(served=False), "v1alpha1 is not served"),
        ({"spec": {}}, "not established"),
    ],
)
async def test_names_a_crd_that_is_not_served_yet(unready: Json, trouble: str) -> None:
    api = FakeApi()
    apply_crds(api)
    api.put(custom_resource_definition("attestationpolicies"), unready)
    with pytest.raises(CrdsMissing) as caught:
        await wait_for_crds(api, sleep=Pauses(api))
    assert caught.value.observed == f"attestationpolicies: {trouble}"
