"""The evidence service over HTTP: what is read, how long, and what is said of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

import structlog
from aiohttp import web

from nodeproof.errors import (
    MessageMalformed,
    MessageTooLarge,
    NodeproofError,
    Overloaded,
)
from nodeproof.protocol import (
    CHALLENGES_PATH,
    EVIDENCE_PATH,
    MAX_REQUEST_BYTES,
    UNAVAILABLE_PATH,
)
from nodeproof_operator.intake.admission import RateLimiter
from nodeproof_operator.intake.answers import (
    INTERNAL_ERROR,
    accepted,
    failed,
    is_deferred,
    refused,
    unroutable,
)
from nodeproof_operator.intake.errors import RequestTooSlow
from nodeproof_operator.intake.service import EvidenceService
from nodeproof_operator.intake.tokens import bearer_token

BODY_SECONDS = 10.0
"""From a request's headers to the end of its body: a hundred KiB on any network that works."""

MAX_REQUESTS = 512
"""Requests at work at once; their bodies fill at most 64 MiB."""

BUSY_RETRY_SECONDS = 2

Result = Literal["accepted", "refused", "deferred", "unavailable"]

_log = structlog.get_logger()


class IntakeObserver(Protocol):
    """Told how every attempt to attest ended."""

    def attempt(self, result: Result, reason: str, signer: str) -> None:
        """Count one attempt.

        Args:
            result: ``deferred`` if the agent was asked to come again, for no fault of its own;
                ``unavailable`` if it had no evidence.
            reason: The error's reason, ``Accepted``, ``Repeated`` for evidence stored before, or
                the cause why there is none.
            signer: Whose word accepted evidence rests on; else empty.
        """
        ...


@dataclass(slots=True)
class Intake:
    """The HTTP side of an EvidenceService.

    Attributes:
        service: The pipeline.
        address_limiter: How often a remote address may ask.
        observer: Told of every attempt.
        body_seconds: How long a body may take to arrive.
        max_requests: Requests at work at once.
    """

    service: EvidenceService
    address_limiter: RateLimiter
    observer: IntakeObserver
    body_seconds: float = BODY_SECONDS
    max_requests: int = MAX_REQUESTS
    _at_work: int = field(default=0, init=False)

    def application(self) -> web.Application:
        """Return the application with the routes of the protocol."""
        application = web.Application(middlewares=[self._answer])
        application.router.add_post(CHALLENGES_PATH, self._challenges)
        application.router.add_post(EVIDENCE_PATH, self._evidence)
        application.router.add_post(UNAVAILABLE_PATH, self._unavailable)
        return application

    async def _challenges(self, request: web.Request) -> web.Response:
        token, body = await self._read(request)
        return accepted(await self.service.challenge(token, body))

    async def _evidence(self, request: web.Request) -> web.Response:
        token, body = await self._read(request)
        outcome = await self.service.evidence(token, body)
        reason = "Accepted" if outcome.signer else "Repeated"
        self.observer.attempt("accepted", reason, outcome.signer)
        _log.info(
            "evidence accepted",
            path=request.path,
            reason=reason,
            signer=outcome.signer,
            sequence=outcome.receipt.sequence,
        )
        return accepted(outcome.receipt)

    async def _unavailable(self, request: web.Request) -> web.Response:
        token, body = await self._read(request)
        excused = await self.service.unavailable(token, body)
        self.observer.attempt("unavailable", str(excused.cause), "")
        _log.info(
            "agent has no evidence",
            path=request.path,
            reason=str(excused.cause),
            message=excused.message,
        )
        return accepted(excused.receipt)

    async def _read(self, request: web.Request) -> tuple[str, bytes]:
        token = bearer_token(request.headers.get("Authorization"))
        return token, await read_body(request, self.body_seconds)

    @web.middleware
    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            self.address_limiter.admit(request.remote or "")
            async with self._place():
                return await handler(request)
        except web.HTTPException as error:
            return unroutable(error)
        except NodeproofError as error:
            self._note(request, error)
            return refused(error)
        except Exception:  # noqa: BLE001 - the last resort: its trace is logged, not answered
            _log.exception("request failed", path=request.path, reason=INTERNAL_ERROR)
            self.observer.attempt("deferred", INTERNAL_ERROR, "")
            return failed()

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._at_work >= self.max_requests:
            raise Overloaded("too many requests at once", retry_after_seconds=BUSY_RETRY_SECONDS)
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    def _note(self, request: web.Request, error: NodeproofError) -> None:
        result: Result = "deferred" if is_deferred(error) else "refused"
        self.observer.attempt(result, error.reason, "")
        _log.info(
            f"request {result}",
            path=request.path,
            address=request.remote,
            reason=error.reason,
            message=error.message,
            expected=error.expected,
            observed=error.observed,
            cause=str(error.__cause__ or ""),
        )


async def read_body(request: web.Request, seconds: float) -> bytes:
    """Return a request's body, at most ``MAX_REQUEST_BYTES`` bytes of it and ``seconds`` long.

    Raises:
        MessageTooLarge: It is longer, or says so.
        MessageMalformed: It is compressed, its framing is broken, or its sender has gone.
        RequestTooSlow: It did not arrive in time.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise MessageMalformed("compressed bodies are not read")
    if (request.content_length or 0) > MAX_REQUEST_BYTES:
        raise _too_large(f"{request.content_length} bytes")
    try:
        async with asyncio.timeout(seconds):
            await request.content.readexactly(MAX_REQUEST_BYTES + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    except TimeoutError as error:
        raise RequestTooSlow("the body takes too long", expected=f"{seconds:g} s") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise MessageMalformed("the body ended before its end") from error
    raise _too_large("more")


def _too_large(observed: str) -> MessageTooLarge:
    return MessageTooLarge(
        "the body is too large", expected=f"at most {MAX_REQUEST_BYTES} bytes", observed=observed
    )
