"""A small synchronous client of the API server: raw JSON in, raw JSON out.

For demo and tests, where one wants to send exactly these bytes under exactly this identity.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

from nodeproof_dev.connection import Connection
from nodeproof_dev.errors import ApiRefused, ApiUnreachable, NotReadyInTime

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

FIELD_MANAGER = "nodeproof-dev"

MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""The largest answer that is read: a list of the largest cluster we play with."""

Object = dict[str, Any]
Predicate = Callable[[Object], bool]

_POLL_SECONDS = 0.1
_ERROR_STATUS = 400
_NOT_FOUND = 404
_TOO_MANY_REQUESTS = 429
_INTERNAL_ERROR = 500
_SHOWN = 2000


class Api:
    """One identity at one API server. May be used by several threads.

    Attributes:
        connection: Where and who.
    """

    def __init__(self, connection: Connection, *, timeout: float = 10.0) -> None:
        self.connection = connection
        self._timeout = timeout
        self._headers = urllib3.HTTPHeaderDict(connection.headers())
        self._pool = urllib3.PoolManager(
            ssl_context=connection.ssl_context(), retries=False, maxsize=4
        )
        self._resources: dict[str, dict[str, Object]] = {}

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = JSON,
        timeout: float | None = None,
    ) -> tuple[int, Any]:
        """Send one request; return the status and the decoded answer, whatever the status.

        Args:
            method: The HTTP method.
            path: Path and query.
            body: What is sent as JSON; bytes are sent as they are.
            content_type: The body's type, for the several kinds of patch.
            timeout: Seconds for the whole answer; the client's own if None.

        Raises:
            ApiUnreachable: There was no answer, or none that could be read.
        """
        headers = self._headers.copy()
        headers["Accept"] = JSON
        if body is not None:
            headers["Content-Type"] = content_type
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            return self._send(method, path, body, headers, timeout or self._timeout)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiUnreachable(f"{method} {path}: {error}") from error

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
    ) -> tuple[int, Any]:
        answer = self._pool.request(
            method,
            self.connection.server + path,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(total=timeout),
            preload_content=False,
        )
        try:
            data = answer.read(MAX_ANSWER_BYTES + 1)
        finally:
            answer.release_conn()
        if len(data) > MAX_ANSWER_BYTES:
            raise ApiUnreachable(f"{method} {path}: the answer is too large to read")
        return answer.status, _decoded(data)

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = JSON) -> Any:
        """Send one request and return the decoded answer.

        Raises:
            ApiRefused: The answer is an error.
            ApiUnreachable: There was no answer.
        """
        status, answer = self.call(method, path, body, content_type=content_type)
        if status >= _ERROR_STATUS:
            raise ApiRefused(status, answer)
        return answer

    def get(self, path: str) -> Any:
        """Read an object or a list."""
        return self.request("GET", path)

    def find(self, path: str) -> Object | None:
        """Read an object, or return None if it is not there."""
        try:
            found: Object = self.get(path)
        except ApiRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return found

    def items(self, path: str) -> list[Object]:
        """Read a list's items."""
        listed: list[Object] = self.get(path)["items"]
        return listed

    def create(self, path: str, body: Object) -> Object:
        """Create an object in a collection."""
        created: Object = self.request("POST", path, body)
        return created

    def update(self, path: str, body: Object) -> Object:
        """Replace an object (PUT)."""
        updated: Object = self.request("PUT", path, body)
        return updated

    def merge_patch(self, path: str, body: Object) -> Object:
        """Apply a JSON merge patch (RFC 7386)."""
        patched: Object = self.request("PATCH", path, body, content_type=MERGE_PATCH)
        return patched

    def strategic_patch(self, path: str, body: Object) -> Object:
        """Apply Kubernetes' strategic merge patch, which merges lists by key."""
        patched: Object = self.request("PATCH", path, body, content_type=STRATEGIC_PATCH)
        return patched

    def delete(self, path: str, *, uid: str | None = None, grace: int | None = None) -> None:
        """Delete an object, if it is there.

        Args:
            path: The object.
            uid: Delete only the object with this UID.
            grace: The grace period in seconds; the object's own if None.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        status, answer = self.call("DELETE", path, options)
        if status >= _ERROR_STATUS and status != _NOT_FOUND:
            raise ApiRefused(status, answer)

    def apply(self, document: Object) -> Object:
        """Create or change an object to be as its document says (server-side apply)."""
        path = self.path_of(document)
        query = urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        applied: Object = self.request(
            "PATCH", f"{path}?{query}", document, content_type=APPLY_PATCH
        )
        return applied

    def path_of(self, document: Object) -> str:
        """Return the path of the object that a document describes.

        Raises:
            ApiRefused: The server does not serve that kind (404).
        """
        resource = self._resource(document["apiVersion"], document["kind"])
        metadata = document["metadata"]
        prefix = _group_path(document["apiVersion"])
        if resource["namespaced"]:
            prefix += f"/namespaces/{metadata.get('namespace', 'default')}"
        return f"{prefix}/{resource['name']}/{metadata['name']}"

    def wait_for(
        self, path: str, predicate: Predicate = bool, *, seconds: float = 30.0, what: str = ""
    ) -> Object:
        """Read an object until it is as wished, and return it.

        While the object is not there the predicate sees ``{}``. An API server that is away or too
        busy is asked again.

        Raises:
            NotReadyInTime: It never was; the message shows what was seen last.
            ApiRefused: The server refuses to answer.
        """
        deadline = time.monotonic() + seconds
        while True:
            seen = self._look(path)
            if seen is not None and predicate(seen):
                return seen
            if time.monotonic() > deadline:
                shown = "no answer" if seen is None else json.dumps(_without_noise(seen))[:_SHOWN]
                raise NotReadyInTime(f"{what or path}: not within {seconds:.0f} s", observed=shown)
            time.sleep(_POLL_SECONDS)

    def wait_gone(self, path: str, *, seconds: float = 30.0) -> None:
        """Wait until an object is not there."""
        self.wait_for(path, lambda seen: not seen, seconds=seconds, what=f"{path} to be gone")

    def _look(self, path: str) -> Object | None:
        try:
            return self.find(path) or {}
        except ApiUnreachable:
            return None
        except ApiRefused as error:
            if error.status == _TOO_MANY_REQUESTS or error.status >= _INTERNAL_ERROR:
                return None
            raise

    def _resource(self, api_version: str, kind: str) -> Object:
        known = self._resources.get(api_version, {})
        if kind not in known:
            listed = self.get(_group_path(api_version))["resources"]
            # Subresources carry their parent's kind or another one: only names without a slash.
            known = {each["kind"]: each for each in listed if "/" not in each["name"]}
            self._resources[api_version] = known
        if kind not in known:
            raise ApiRefused(_NOT_FOUND, {"message": f"{api_version} {kind} is not served"})
        return known[kind]


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return data.decode(errors="replace")


def _group_path(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _without_noise(seen: Object) -> Object:
    metadata = {k: v for k, v in seen.get("metadata", {}).items() if k != "managedFields"}
    return {**seen, "metadata": metadata} if metadata else seen
