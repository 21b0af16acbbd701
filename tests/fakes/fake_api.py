"""An API server in memory, behind the same door as the real one.

It answers what a real kube-apiserver 1.36 was seen to answer, as far as the operator depends on it:
resourceVersion and uid preconditions, the status subresource, merge and JSON patches, pages,
Nodes that a hostile kubelet has made unpatchable, TokenReviews.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from fakes.patches import PatchRefused, apply, merge
from fakes.server_rules import (
    CUSTOM,
    VERSIONED_UPDATES,
    Address,
    address_of,
    admitted,
    check_preconditions,
    check_times,
    copy,
    selected,
)
from nodeproof_operator.cluster.errors import ApiError, Conflict, Invalid, NotFound
from nodeproof_operator.cluster.gateway import JSON, JSON_PATCH, MERGE_PATCH, Json
from nodeproof_operator.cluster.objects import TOKEN_REVIEWS

CREATED = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in; ``path`` is without the query."""

    method: str
    path: str
    body: Any
    content_type: str
    query: Mapping[str, str]
    timeout: float


@dataclass(slots=True)
class _Fault:
    error: BaseException
    times: int
    method: str | None
    path: str | None

    def hits(self, request: Request) -> bool:
        return (
            self.times > 0
            and self.method in {None, request.method}
            and (self.path is None or request.path.startswith(self.path))
        )


@dataclass(slots=True)
class FakeApi:
    """Implements the Gateway protocol; tests seed it with ``put`` and read ``objects``.

    Attributes:
        requests: Every request since the start, also refused ones.
        token_reviews: The ``status`` of the TokenReview of each token that is known.
        before: Awaited before each request is served: somebody else's write, a delay.
        watchers: Told of every change with (event type, collection path, object).
    """

    objects: dict[str, Json] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    token_reviews: dict[str, Json] = field(default_factory=dict)
    before: Callable[[Request], Awaitable[None]] | None = None
    watchers: list[Callable[[str, str, Json], None]] = field(default_factory=list)
    page_size: int = 500
    _version: int = 1000
    _faults: list[_Fault] = field(default_factory=list)

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        content_type: str = JSON,
        timeout: float = 5.0,  # noqa: ASYNC109 - the protocol's signature
    ) -> Json:
        bare, _, query = path.partition("?")
        request = Request(method, bare, copy(body), content_type, dict(parse_qsl(query)), timeout)
        self.requests.append(request)
        if self.before is not None:
            await self.before(request)
        self._raise_fault(request)
        answer: Json = copy(self._serve(request))
        return answer

    def put(self, path: str, body: Mapping[str, Any]) -> Json:
        """Store an object whole, with status, as if it had always been there; return it."""
        address = address_of(path)
        known = self.objects.get(address.key)
        stored = copy(body)
        metadata = stored.setdefault("metadata", {})
        metadata.setdefault("name", address.name)
        metadata.setdefault("uid", known["metadata"]["uid"] if known else str(uuid.uuid4()))
        metadata.setdefault("generation", 1)
        metadata.setdefault("creationTimestamp", CREATED)
        self._store(address, stored)
        result: Json = copy(stored)
        return result

    def remove(self, path: str) -> None:
        """Delete an object without asking anybody."""
        address = address_of(path)
        self._tell("DELETED", address, self.objects.pop(address.key))

    def read(self, path: str) -> Json:
        """Return a copy of an object, without a request."""
        result: Json = copy(self.objects[path])
        return result

    def fail_next(
        self,
        error: BaseException,
        *,
        times: int = 1,
        method: str | None = None,
        path: str | None = None,
    ) -> None:
        """Let the next ``times`` requests of this method, below this path, fail with ``error``."""
        self._faults.append(_Fault(error, times, method, path))

    def sent(self, method: str, path: str = "") -> list[Request]:
        """Return the requests of this method whose path starts like this."""
        return [each for each in self.requests if each.method == method and path in each.path]

    def collect_garbage(self) -> None:
        """Delete what is owned by an object that is gone, as the garbage collector does."""
        living = {each["metadata"]["uid"] for each in self.objects.values()}
        for path, each in list(self.objects.items()):
            owners = each["metadata"].get("ownerReferences", ())
            if owners and not any(owner["uid"] in living for owner in owners):
                self.remove(path)

    def _raise_fault(self, request: Request) -> None:
        for fault in self._faults:
            if fault.hits(request):
                fault.times -= 1
                raise fault.error

    def _serve(self, request: Request) -> Json:
        if request.path == TOKEN_REVIEWS:
            return self._review(request.body)
        address = address_of(request.path)
        if address.name:
            return self._serve_object(address, request)
        if request.method == "POST":
            return self._create(address, request.body)
        return self._list(address, request.query)

    def _serve_object(self, address: Address, request: Request) -> Json:
        if address.key not in self.objects:
            raise NotFound(f"{address.key} not found", status=404)
        match request.method:
            case "GET":
                return self.objects[address.key]
            case "PUT":
                return self._replace(address, request.body)
            case "PATCH":
                return self._patch(address, request)
            case "DELETE":
                return self._delete(address, request.body or {})
            case other:
                raise ApiError(f"{other} is not allowed", status=405)

    def _review(self, body: Json) -> Json:
        status = self.token_reviews.get(body["spec"]["token"])
        asked = set(body["spec"].get("audiences", ()))
        if status is None or (asked and not asked & set(status.get("audiences", ()))):
            status = {"user": {}, "error": "[invalid bearer token, audiences do not fit]"}
        return {**body, "status": status}

    def _list(self, address: Address, query: Mapping[str, str]) -> Json:
        paths = sorted(
            path
            for path, each in self.objects.items()
            if address_of(path).collection == address.key[:-1]
            and selected(each, query.get("labelSelector", ""))
        )
        start = int(query.get("continue", "0"))
        end = start + min(self.page_size, int(query.get("limit", self.page_size)))
        metadata = {"resourceVersion": str(self._version)}
        if end < len(paths):
            metadata["continue"] = str(end)
        return {"metadata": metadata, "items": [self.objects[each] for each in paths[start:end]]}

    def _create(self, address: Address, body: Json) -> Json:
        created = copy(body)
        name = created.get("metadata", {}).get("name")
        if not name:
            raise Invalid("metadata.name: Required value", status=422)
        named = Address(address.collection, address.resource, name, "")
        if named.key in self.objects:
            raise Conflict(f"{named.key} already exists", status=409)
        if address.resource in CUSTOM:
            created.pop("status", None)
        created["metadata"] |= {
            "uid": str(uuid.uuid4()),
            "creationTimestamp": CREATED,
            "generation": 1,
        }
        return self._store(named, created)

    def _replace(self, address: Address, body: Json) -> Json:
        if address.resource in VERSIONED_UPDATES and not body["metadata"].get("resourceVersion"):
            raise Invalid("metadata.resourceVersion: must be specified for an update", status=422)
        return self._update(address, copy(body))

    def _patch(self, address: Address, request: Request) -> Json:
        stored = self.objects[address.key]
        if request.content_type == MERGE_PATCH:
            return self._update(address, merge(copy(stored), request.body))
        if request.content_type != JSON_PATCH:
            raise ApiError(f"no patches of {request.content_type} here", status=415)
        try:
            return self._update(address, apply(copy(stored), request.body))
        except PatchRefused as error:
            raise Invalid("the server rejected our request", status=422) from error

    def _update(self, address: Address, new: Json) -> Json:
        old = self.objects[address.key]
        if address.resource == "nodes":
            check_times(new)
        check_preconditions(address, old, new)
        result = admitted(address, old, new)
        if result == old:
            return old
        if result.get("spec") != old.get("spec"):
            result["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        return self._store(address, result)

    def _delete(self, address: Address, options: Json) -> Json:
        stored = self.objects[address.key]
        for key, wanted in (options.get("preconditions") or {}).items():
            if wanted != stored["metadata"][key]:
                raise Conflict(f"Precondition failed: {key}", status=409)
        if stored["metadata"].get("finalizers"):
            stored["metadata"]["deletionTimestamp"] = CREATED
            return self._store(address, stored)
        self._tell("DELETED", address, self.objects.pop(address.key))
        return stored

    def _store(self, address: Address, body: Json) -> Json:
        kind = "MODIFIED" if address.key in self.objects else "ADDED"
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self.objects[address.key] = body
        self._tell(kind, address, body)
        return body

    def _tell(self, kind: str, address: Address, body: Json) -> None:
        if kind == "DELETED":
            self._version += 1
            body["metadata"]["resourceVersion"] = str(self._version)
        for each in self.watchers:
            each(kind, address.collection, copy(body))


def _in(collection: Address, path: str) -> bool:
    return address_of(path).collection == collection.collection
