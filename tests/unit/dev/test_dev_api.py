"""The client against a server of this test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nodeproof_dev.api import MERGE_PATCH, Api
from nodeproof_dev.connection import Connection
from nodeproof_dev.errors import ApiRefused, ApiUnreachable, NotReadyInTime

RESOURCES = {
    "resources": [
        {"name": "pods", "kind": "Pod", "namespaced": True},
        {"name": "pods/eviction", "kind": "Eviction", "namespaced": True},
        {"name": "nodes", "kind": "Node", "namespaced": False},
    ]
}


class Handler(BaseHTTPRequestHandler):
    """Answers by path; remembers the last request."""

    protocol_version = "HTTP/1.1"
    answers: dict[str, tuple[int, Any]]
    last: dict[str, Any]

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.last.update(
            method=self.command,
            body=body,
            type=self.headers.get("Content-Type"),
            token=self.headers.get("Authorization"),
            groups=self.headers.get_all("Impersonate-Group"),
        )
        status, answer = self.answers.get(self.path, (404, {"message": "not found"}))
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served() -> Iterator[tuple[Api, type[Handler]]]:
    handler = type("Fresh", (Handler,), {"answers": {"/api/v1": (200, RESOURCES)}, "last": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    connection = Connection(url, "", token="the token").impersonating("someone", ("g1", "g2"))
    yield Api(connection), handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_error_is_raised_with_status_and_body(served: tuple[Api, type[Handler]]) -> None:
    api, handler = served
    handler.answers["/x"] = (403, {"message": "not allowed"})
    with pytest.raises(ApiRefused, match="not allowed") as refusal:
        api.get("/x")
    assert refusal.value.status == 403


def test_what_is_not_there_is_found_to_be_none(served: tuple[Api, type[Handler]]) -> None:
    assert served[0].find("/absent") is None


def test_a_merge_patch_says_that_it_is_one(served: tuple[Api, type[Handler]]) -> None:
    api, handler = served
    handler.answers["/x"] = (200, {})
    api.merge_patch("/x", {"a": None})
    assert handler.last["type"] == MERGE_PATCH
    assert handler.last["body"] == {"a": None}


def test_every_request_states_the_identity(served: tuple[Api, type[Handler]]) -> None:
    api, handler = served
    api.find("/x")
    assert handler.last["token"] == "Bearer the token"
    assert handler.last["groups"] == ["g1", "g2"]


def test_a_delete_carries_its_precondition(served: tuple[Api, type[Handler]]) -> None:
    api, handler = served
    handler.answers["/x"] = (200, {})
    api.delete("/x", uid="u", grace=0)
    assert handler.last["body"]["preconditions"] == {"uid": "u"}
    assert handler.last["body"]["gracePeriodSeconds"] == 0


def test_deleting_what_is_gone_is_no_error(served: tuple[Api, type[Handler]]) -> None:
    api, handler = served
    api.delete("/gone")
    assert handler.last["method"] == "DELETE"


@pytest.mark.parametrize(
    ("kind", "metadata", "path"),
    [
        ("Node", {"name": "n"}, "/api/v1/nodes/n"),
        ("Pod", {"name": "p"}, "/api/v1/namespaces/default/pods/p"),
        ("Pod", {"name": "p", "namespace": "x"}, "/api/v1/namespaces/x/pods/p"),
    ],
)
def test_a_documents_path_follows_its_kind(
    served: tuple[Api, type[Handler]], kind: str, metadata: dict[str, str], path: str
) -> None:
    document = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
    assert served[0].path_of(document) == path


def test_a_kind_that_is_not_served_is_refused(served: tuple[Api, type[Handler]]) -> None:
    with pytest.raises(ApiRefused, match="v1 Unknown is not served"):
        served[0].path_of({"apiVersion": "v1", "kind": "Unknown", "metadata": {"name": "x"}})


def test_waiting_shows_what_was_seen_last(served: tuple[Api, type[Handler]]) -> None:
    api, handler = served
    handler.answers["/x"] = (200, {"status": "still pending"})
    with pytest.raises(NotReadyInTime, match="still pending"):
        api.wait_for("/x", lambda seen: seen["status"] == "done", seconds=0)


def test_waiting_for_something_refused_ends_at_once(served: tuple[Api, type[Handler]]) -> None:
    api, handler = served
    handler.answers["/x"] = (403, {"message": "not allowed"})
    with pytest.raises(ApiRefused):
        api.wait_for("/x")


def test_nobody_listening_is_unreachable() -> None:
    with pytest.raises(ApiUnreachable):
        Api(Connection("http://127.0.0.1:1", "", token="t")).get("/")
