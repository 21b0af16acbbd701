"""What a key server answers: a status, headers, and bytes that may come without end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class KDSAnswer:
    """One answer.

    Attributes:
        status: The HTTP status.
        headers: Headers besides those that frame the body.
        body: The body in pieces, sent as they come.
        length: The Content-Length that is stated, true or not; None sends the body in chunks.
    """

    status: HTTPStatus
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    length: int | None = 0


def found(body: bytes, filename: str) -> KDSAnswer:
    """Return a file as AMD's server hands it out: the headers of its answers, as observed."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename={filename}",
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
    }
    return KDSAnswer(HTTPStatus.OK, headers, (body,), len(body))


def refused(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> KDSAnswer:
    """Return an answer that is only a status, with its words as the body."""
    body = status.phrase.encode()
    return KDSAnswer(
        status, {"Content-Type": "text/plain"} | dict(headers or {}), (body,), len(body)
    )
