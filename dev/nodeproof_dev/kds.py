"""A stand-in for AMD's Key Distribution Service (57230): HTTPS on loopback, faults at will.

It knows what a ``Shelf`` holds, remembers every request, and can be made to hang, to throttle, to
flood and to lie. The shelf itself can be exchanged: one of another authority's files makes it a
hostile mirror.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nodeproof_dev.connection import write_private
from nodeproof_dev.kds_answers import KDSAnswer
from nodeproof_dev.kds_faults import Fault, Hang
from nodeproof_dev.kds_shelf import Kind, Shelf
from nodeproof_dev.pki import Authority
from nodeproof_dev.ports import LOOPBACK

_SOCKET_SECONDS = 30.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class KDSRequest:
    """One request: when it came, and its path and query."""

    time: datetime
    target: str

    @property
    def kind(self) -> Kind:
        """What it asked for."""
        return Kind.of(self.target)


class KDSStandIn:
    """The server, with its own thread and a certificate of its own authority.

    Attributes:
        shelf: The files that it hands out.
        ca_file: The CA certificate that a client has to trust, PEM.
    """

    def __init__(self, directory: Path, shelf: Shelf) -> None:
        """Begin to listen; ``start`` begins to answer.

        Args:
            directory: Where its certificates go.
            shelf: The files that it hands out.
        """
        self.shelf = shelf
        self.ca_file = directory / "kds-ca.crt"
        self._requests: list[KDSRequest] = []
        self._faults: dict[Kind, Fault] = {}
        self._server = _Server(partial(_Handler, self), _tls(directory, self.ca_file))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="KDS stand-in"
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://{LOOPBACK}:{self._server.server_port}"

    @property
    def requests(self) -> tuple[KDSRequest, ...]:
        """Every request so far, in the order in which they came."""
        return tuple(self._requests)

    def count(self, kind: Kind) -> int:
        """Return how many requests asked for this."""
        return sum(each.kind is kind for each in self.requests)

    def fail(self, fault: Fault, *kinds: Kind) -> None:
        """Do this instead of the usual from now on, for these kinds of request or for all."""
        self._faults.update(dict.fromkeys(kinds or Kind, fault))

    def recover(self) -> None:
        """Answer well from now on; whoever was kept waiting gets an answer."""
        faults, self._faults = self._faults, {}
        for fault in faults.values():
            if isinstance(fault, Hang):
                fault.release()

    def answer(self, target: str) -> KDSAnswer:
        """Remember a request for this path and query, and return the answer."""
        request = KDSRequest(datetime.now(UTC), target)
        self._requests.append(request)
        fault = self._faults.get(request.kind)
        return fault(lambda: self.shelf.answer(target)) if fault else self.shelf.answer(target)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; whoever was kept waiting gets an answer."""
        self.recover()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that does not read would keep us

    def __init__(self, handler: Any, tls: ssl.SSLContext) -> None:
        super().__init__((LOOPBACK, 0), handler)
        # The handshake belongs to the request's thread: here it would hold up all other clients.
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SOCKET_SECONDS

    def __init__(self, standin: KDSStandIn, *connection: Any) -> None:
        self._standin = standin
        # A client may refuse our certificate or leave in the middle: that is its own affair.
        with suppress(OSError):
            super().__init__(*connection)

    def do_GET(self) -> None:
        answer = self._standin.answer(self.path)
        self.send_response(answer.status)
        self._send_headers({**answer.headers, **_framing(answer.length)})
        for piece in answer.body:
            self.wfile.write(piece if answer.length is not None else _chunk(piece))
        if answer.length is None:
            self.wfile.write(_chunk(b""))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing: what came is in ``requests``."""

    def _send_headers(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _framing(length: int | None) -> dict[str, str]:
    size = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    return {"Connection": "close"} | size


def _chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def _tls(directory: Path, ca_file: Path) -> ssl.SSLContext:
    authority = Authority("nodeproof KDS stand-in", datetime.now(UTC))
    pair = authority.server(["localhost"], [LOOPBACK])
    directory.mkdir(parents=True, exist_ok=True)
    ca_file.write_text(authority.certificate)
    own = directory / "kds.pem"
    write_private(own, pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    return context
