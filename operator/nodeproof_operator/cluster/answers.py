"""What the API server's HTTP answers mean; bytes in, an object or an error out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from nodeproof_operator.cluster.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Throttled,
    Unreachable,
)
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.shallow import shallow

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A page of 500 Nodes has about 7 MB; some of them may be filled by hostile kubelets to the 1.5 MB
that etcd stores."""

MAX_REFUSAL_BYTES = 64 * 1024
"""Of the body of an error; only its message is used."""

MAX_MESSAGE_LENGTH = 512
"""Characters of the server's own words that are kept."""

RETRY_SECONDS = 1.0
"""When to come back if the server does not say."""

MAX_RETRY_SECONDS = 60.0
"""The longest pause that a server may ask for."""

_KINDS: Mapping[int, type[ApiError]] = {
    HTTPStatus.UNAUTHORIZED: Forbidden,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
}


def decode(request: str, data: bytes) -> Json:
    """Return the object in a successful answer.

    Raises:
        Unreachable: It is no JSON object.
    """
    try:
        decoded = json.loads(shallow(data))
    except ValueError as error:
        raise Unreachable(f"{request}: the answer is no JSON", status=0) from error
    if not isinstance(decoded, dict):
        raise Unreachable(f"{request}: the answer is no JSON object", status=0)
    return decoded


def error_from(request: str, status: int, headers: Mapping[str, str], data: bytes) -> ApiError:
    """Return the error that an unsuccessful answer stands for."""
    message = f"{request}: {_message(data) or 'no reason given'}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(message, status=status, retry_after_seconds=_retry_after(headers))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unreachable(message, status=status)
    return _KINDS.get(status, ApiError)(message, status=status)


def _message(data: bytes) -> str:
    try:
        decoded = json.loads(shallow(data))
    except ValueError:
        return ""
    message = decoded.get("message") if isinstance(decoded, dict) else None
    return str(message or "")[:MAX_MESSAGE_LENGTH]


def _retry_after(headers: Mapping[str, str]) -> float:
    stated = headers.get("Retry-After", "")
    if not (stated.isascii() and stated.isdecimal()):
        return RETRY_SECONDS
    return min(float(stated), MAX_RETRY_SECONDS)
