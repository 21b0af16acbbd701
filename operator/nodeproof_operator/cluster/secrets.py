"""The Secrets and ConfigMaps that the operator fills; they are made, empty, by an admin.

So the operator needs no right to create any, or to list Secrets: each is named in its Role.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from nodeproof_operator.cluster.errors import Conflict, NotFound
from nodeproof_operator.cluster.gateway import JSON_PATCH, Gateway, Json
from nodeproof_operator.cluster.objects import config_map, secret
from nodeproof_operator.cluster.preconditions import Precondition

PUBLISH_TRIES = 3
"""Replicas publish the same thing, at most a few at a time."""


FILL_TRIES = 5
"""Conditional writes, when several replicas start at once."""


class PreparedObjectMissing(NotFound):
    """A Secret or ConfigMap that the installation should have made."""


@dataclass(frozen=True, slots=True)
class SealedStore:
    """Reads and fills the prepared objects of one namespace.

    All methods may raise an ``ApiError``; ``PreparedObjectMissing`` says what to apply.
    """

    gateway: Gateway
    namespace: str

    async def read(self, name: str) -> tuple[dict[str, bytes], Precondition]:
        """Return a Secret's data, empty if it was never filled, and the state that was read."""
        body = await self._get("Secret", secret(self.namespace, name))
        data = body.get("data") or {}
        return {key: base64.b64decode(each) for key, each in data.items()}, _state(body)

    async def fill(
        self, name: str, data: Mapping[str, bytes], precondition: Precondition
    ) -> Precondition:
        """Make a Secret hold exactly ``data``; return the state it then has.

        Raises:
            Conflict: The Secret is no longer in the state of ``precondition``.
        """
        encoded = {key: base64.b64encode(each).decode() for key, each in data.items()}
        return await self._replace("Secret", secret(self.namespace, name), encoded, precondition)

    async def publish(self, name: str, data: Mapping[str, str]) -> None:
        """Make a ConfigMap hold exactly ``data``; nothing is sent if it does already.

        Raises:
            Conflict: Others write it all the time.
        """
        await self.revise(name, lambda _: data)

    async def revise(
        self, name: str, make: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> None:
        """Make a ConfigMap hold what ``make`` returns, given what it holds; asked anew at each try.

        Nothing is sent if it holds that already.

        Raises:
            Conflict: Others write it all the time.
        """
        path = config_map(self.namespace, name)
        for attempt in range(PUBLISH_TRIES):
            body = await self._get("ConfigMap", path)
            current = body.get("data") or {}
            data = make(current)
            if current == data:
                return
            try:
                await self._replace("ConfigMap", path, data, _state(body))
            except Conflict:
                if attempt == PUBLISH_TRIES - 1:
                    raise
            else:
                return

    async def _get(self, kind: str, path: str) -> Json:
        try:
            return await self.gateway.call("GET", path)
        except NotFound as error:
            _missing(kind, path, error)

    async def _replace(
        self, kind: str, path: str, data: Mapping[str, str], precondition: Precondition
    ) -> Precondition:
        # A stale resourceVersion that a patch sets is a conflict; unlike a merge patch this one
        # leaves no older entries behind.
        condition = [
            {"op": "add", "path": f"/metadata/{key}", "value": value}
            for key, value in precondition.metadata().items()
        ]
        patch = [*condition, {"op": "add", "path": "/data", "value": dict(data)}]
        try:
            return _state(await self.gateway.call("PATCH", path, patch, content_type=JSON_PATCH))
        except NotFound as error:
            _missing(kind, path, error)


async def until_first(attempt: Callable[[], Awaitable[None]]) -> None:
    """Repeat what reads and then writes conditionally until no other replica has been faster.

    Raises:
        Conflict: Others write all the time.
    """
    for _ in range(FILL_TRIES - 1):
        try:
            return await attempt()
        except Conflict:
            continue  # take what the other wrote
    return await attempt()


def _state(body: Json) -> Precondition:
    return Precondition(body["metadata"]["uid"], body["metadata"]["resourceVersion"])


def _missing(kind: str, path: str, error: NotFound) -> NoReturn:
    *_, namespace, _, name = path.split("/")
    raise PreparedObjectMissing(
        f"{kind} {namespace}/{name} does not exist; chart and deploy/objects.yaml make it, empty",
        status=error.status,
    ) from error
