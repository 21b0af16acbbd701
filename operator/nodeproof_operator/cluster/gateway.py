"""The one door to the API server, as raw JSON.

Raw, because one Node whose kubelet wrote a time of year 10000 breaks every typed list of the
official client; narrow, so that a fake can stand in for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlencode

from nodeproof_operator.cluster.errors import AnswerTooLarge

Json = dict[str, Any]
"""An object as the API server sends it."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

REQUEST_TIMEOUT_SECONDS = 5.0
"""For single objects: under load an API server answers well within a second."""

LIST_TIMEOUT_SECONDS = 30.0
"""For one page of a list: Kubernetes' own objective for large lists."""

PAGE_SIZE = 500
"""Objects a page: bounds memory and how long decoding blocks the event loop."""

LABELLED_PAGE_SIZE = 8
"""The same for ConfigMaps, of up to 1 MiB each."""


class Gateway(Protocol):
    """Sends one request and returns the object that came back."""

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        content_type: str = JSON,
        timeout: float = REQUEST_TIMEOUT_SECONDS,  # noqa: ASYNC109 - per request, by the client
    ) -> Json:
        """Return the decoded answer to ``method path``.

        Raises:
            ApiError: Anything but a 2xx came back, or nothing within ``timeout`` seconds.
        """
        ...


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a kind, as of one resourceVersion."""

    items: tuple[Json, ...]
    resource_version: str


async def list_all(gateway: Gateway, path: str) -> Listing:
    """Return all objects under ``path``, page by page.

    Raises:
        ApiError: A page could not be had; there is no partial result.
    """
    items: list[Json] = []
    token = ""
    while True:
        page = await _page(gateway, path, token)
        items.extend(page.get("items") or ())
        token = page["metadata"].get("continue", "")
        if not token:
            return Listing(tuple(items), page["metadata"]["resourceVersion"])


async def list_labelled(
    gateway: Gateway, path: str, label: str, *, most: int
) -> AsyncIterator[Json]:
    """Yield the objects under ``path`` whose ``label`` is ``true``, the first ``most`` by name.

    No more than a page of them is held: each may be as large as etcd stores.

    Raises:
        ApiError: A page could not be had; what was yielded before is not all there is.
    """
    query = {"labelSelector": f"{label}=true"}
    token = ""
    while most > 0:
        page = await _page(gateway, path, token, query, LABELLED_PAGE_SIZE)
        items = (page.get("items") or ())[:most]
        for body in items:
            yield body
        most -= len(items)
        token = page["metadata"].get("continue", "")
        if not token:
            return


async def _page(
    gateway: Gateway,
    path: str,
    token: str,
    query: Mapping[str, str] = MappingProxyType({}),
    size: int = PAGE_SIZE,
) -> Json:
    """Return the next page, a smaller one if large objects make it too large to read."""
    while True:
        query = {**query, "limit": str(size)} | ({"continue": token} if token else {})
        try:
            return await gateway.call(
                "GET", f"{path}?{urlencode(query)}", timeout=LIST_TIMEOUT_SECONDS
            )
        except AnswerTooLarge:
            if size == 1:
                raise
            size = max(1, size // 8)
