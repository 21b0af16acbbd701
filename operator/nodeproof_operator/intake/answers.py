"""How errors look over HTTP: one table, one body."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web

from nodeproof.errors import (
    AuthenticationError,
    ChallengeExpired,
    ChallengeForged,
    ChallengeMalformed,
    ChallengeSuperseded,
    IdentityMismatch,
    MessageError,
    MessageTooLarge,
    NodeproofError,
    Overloaded,
    TokenMissing,
    TokenRejected,
    VerificationError,
)
from nodeproof.protocol import Refusal, encode
from nodeproof_operator.intake.errors import RateLimited, RequestTooSlow

STATUSES: Mapping[type[NodeproofError], HTTPStatus] = MappingProxyType(
    {
        MessageError: HTTPStatus.BAD_REQUEST,
        ChallengeMalformed: HTTPStatus.BAD_REQUEST,
        TokenMissing: HTTPStatus.UNAUTHORIZED,
        TokenRejected: HTTPStatus.UNAUTHORIZED,
        AuthenticationError: HTTPStatus.FORBIDDEN,
        ChallengeForged: HTTPStatus.FORBIDDEN,
        IdentityMismatch: HTTPStatus.FORBIDDEN,
        RequestTooSlow: HTTPStatus.REQUEST_TIMEOUT,
        ChallengeSuperseded: HTTPStatus.CONFLICT,
        ChallengeExpired: HTTPStatus.GONE,
        MessageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        VerificationError: HTTPStatus.UNPROCESSABLE_ENTITY,
        RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
        Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
"""The status of each error; an error that is not listed has that of its nearest ancestor."""

INTERNAL_ERROR = "InternalError"
"""The reason of an answer that failed by a fault of ours."""

_DEFERRED = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def status_of(error: NodeproofError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    listed = (STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return next(listed, HTTPStatus.INTERNAL_SERVER_ERROR)


def is_deferred(error: NodeproofError) -> bool:
    """Whether the caller is asked to come again, with nothing said against its evidence."""
    return status_of(error) in _DEFERRED


def accepted(message: object) -> web.Response:
    """Return the answer that carries a message of the protocol."""
    return _respond(HTTPStatus.OK, encode(message), {})


def refused(error: NodeproofError) -> web.Response:
    """Return the answer to a request that was not accepted."""
    seconds = error.retry_after_seconds if isinstance(error, Overloaded) else None
    refusal = Refusal(
        reason=error.reason,
        message=error.message,
        expected=error.expected,
        observed=error.observed,
        retry_after_seconds=seconds,
    )
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    status = status_of(error)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return _respond(status, encode(refusal), headers)


def failed() -> web.Response:
    """Return the answer to a request that failed by a fault of ours: no detail leaves the house."""
    refusal = Refusal(reason=INTERNAL_ERROR, message="the operator failed; its log says why")
    return _respond(HTTPStatus.INTERNAL_SERVER_ERROR, encode(refusal), {})


def unroutable(error: web.HTTPException) -> web.Response:
    """Return the answer to a request that is for no path or method of ours."""
    status = HTTPStatus(error.status)
    reason = status.phrase.title().replace(" ", "")
    refusal = Refusal(reason=reason, message="the evidence service has no such path or method")
    return _respond(status, encode(refusal), {})


def _respond(status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "Server": "nodeproof", **headers},
    )
