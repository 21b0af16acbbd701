"""Reads everything that is judged. What cannot be had is kept as the error that says why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nodeproof_operator.check.rights import Right, operators_rights
from nodeproof_operator.check.seen import Answer, Answers, Place, Seen
from nodeproof_operator.cluster import objects
from nodeproof_operator.cluster.errors import ApiError
from nodeproof_operator.cluster.gateway import Gateway, Json, list_all
from nodeproof_operator.cluster.kinds import CUSTOM_KINDS, Kind
from nodeproof_operator.cluster.lease import RETRY_PERIOD_SECONDS

LEASE_LOOKS = 4
"""How often the Lease is looked at again, a renewal's time apart, until it has changed."""

AskService = Callable[[str, str], Awaitable[str]]
"""Given URL and CA, says why the evidence service does not answer; empty if it does."""


class Reader:
    """Reads an installation.

    Args:
        gateway: The door to the API server.
        place: Where the installation is.
        ask_service: Asks the evidence service.
        sleep: Waits some seconds.
    """

    def __init__(
        self,
        gateway: Gateway,
        place: Place,
        ask_service: AskService,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._gateway = gateway
        self._place = place
        self._ask_service = ask_service
        self._sleep = sleep

    async def read(self) -> Seen:
        """Take one look; it lasts some seconds if nobody renews the Lease."""
        place = self._place
        lease = await self._lease()
        ca = await self._get(objects.config_map(place.agent_namespace, objects.CA_BUNDLE))
        operator = objects.deployment(place.namespace, objects.OPERATOR)
        agents = objects.daemon_set(place.agent_namespace, objects.AGENT)
        return Seen(
            place=place,
            crds=await self._crds(),
            admission=await self._admission(),
            rights=await self._rights(),
            deployment=await self._get(operator),
            operator_pods=await self._named(place.namespace, objects.OPERATOR),
            ca=ca,
            service_trouble=await self._service(ca),
            daemon_set=await self._get(agents),
            agent_pods=await self._named(place.agent_namespace, objects.AGENT),
            nodes=await self._list(objects.NODES),
            runtime_classes=await self._list(objects.RUNTIME_CLASSES),
            policies=await self._list(objects.POLICIES),
            results=await self._list(objects.NODE_ATTESTATIONS),
            lease=lease,
            lease_renewed=await self._changes(lease),
        )

    async def _get(self, path: str) -> Answer:
        try:
            return await self._gateway.call("GET", path)
        except ApiError as error:
            return error

    async def _list(self, path: str) -> Answers:
        try:
            return (await list_all(self._gateway, path)).items
        except ApiError as error:
            return error

    async def _named(self, namespace: str, name: str) -> Answers:
        """Return the pods that our workloads label with this name."""
        pods = await self._list(objects.pods(namespace))
        if isinstance(pods, ApiError):
            return pods
        return [each for each in pods if _label(each) == name]

    async def _crds(self) -> Mapping[Kind, Answer]:
        path = objects.custom_resource_definition
        return {kind: await self._get(path(kind.value)) for kind in CUSTOM_KINDS}

    async def _admission(self) -> Mapping[str, tuple[Answer, Answer]]:
        return {
            name: (
                await self._get(objects.admission_policy(name)),
                await self._get(objects.admission_binding(name)),
            )
            for name in objects.ADMISSION_POLICIES
        }

    async def _rights(self) -> Mapping[Right, bool | ApiError]:
        needed = operators_rights(self._place.namespace, self._place.agent_namespace)
        return dict(zip(needed, await asyncio.gather(*map(self._allowed, needed)), strict=True))

    async def _allowed(self, right: Right) -> bool | ApiError:
        try:
            answer = await self._gateway.call(
                "POST", objects.ACCESS_REVIEWS, right.review(self._place.namespace)
            )
        except ApiError as error:
            return error
        return (answer.get("status") or {}).get("allowed") is True

    async def _service(self, ca: Answer) -> str:
        bundle = "" if isinstance(ca, ApiError) else (ca.get("data") or {}).get("ca.crt") or ""
        return await self._ask_service(self._place.url, bundle) if bundle else "no CA is published"

    async def _lease(self) -> Answer:
        return await self._get(objects.lease(self._place.namespace, objects.OPERATOR))

    async def _changes(self, before: Answer) -> bool:
        """Tell whether the Lease is renewed: seen, not concluded from anybody's clock."""
        for _ in range(LEASE_LOOKS):
            now = await self._lease()
            if isinstance(before, ApiError) or isinstance(now, ApiError):
                return False
            if now.get("spec") != before.get("spec"):
                return True
            await self._sleep(RETRY_PERIOD_SECONDS)
        return False


def _label(pod: Json) -> Any:
    return (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/name")
