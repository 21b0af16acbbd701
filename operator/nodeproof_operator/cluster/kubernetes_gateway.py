"""The gateway to a real API server, over the official client's asyncio half.

Only the client's connection handling is used. Its models never see an object: one Node with a time
of year 10000 makes them refuse the whole list.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import aiohttp
import structlog
from kubernetes.aio.client import ApiClient, Configuration

from nodeproof_operator.cluster.answers import (
    MAX_ANSWER_BYTES,
    MAX_REFUSAL_BYTES,
    decode,
    error_from,
)
from nodeproof_operator.cluster.connection import (
    Credentials,
    NotConnectable,
    authorization,
    load_configuration,
    load_credentials,
)
from nodeproof_operator.cluster.errors import AnswerTooLarge, Forbidden, Unreachable
from nodeproof_operator.cluster.gateway import JSON, REQUEST_TIMEOUT_SECONDS, Json

TOKEN_LIFE_SECONDS = 60.0
"""How long a token that was read is used: the kubelet replaces the file well before it expires."""

WARM_UP_SECONDS = 5.0
"""How long after a new connection a 403 may only mean that the server is just starting: its
authorizer refuses everything until it has read the roles."""

WARM_UP_PAUSES_SECONDS = (0.3, 0.9)
"""Pauses before a refused request is sent again in that time."""

_logger = structlog.get_logger()


class KubernetesGateway:
    """Implements ``Gateway``; one per event loop, closed by its owner."""

    def __init__(
        self,
        configuration: Configuration,
        kubeconfig: Path | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kubeconfig = kubeconfig
        self._clock = clock
        self._sleep = sleep
        self._authorization = authorization(configuration)
        self._token_due = clock() + TOKEN_LIFE_SECONDS
        self._connected_at = clock()
        configuration.trace_configs = [self._tracing()]
        self._client = ApiClient(configuration)

    @classmethod
    async def connect(cls, kubeconfig: Path | None) -> Self:
        """Return a gateway as the identity of a kubeconfig; None stands for the pod's own.

        Nothing is sent yet.

        Raises:
            NotConnectable: There is no usable identity.
        """
        return cls(await load_configuration(kubeconfig), kubeconfig)

    async def credentials(self) -> Credentials:
        """Return server and identity for another client, read now; safe from any event loop.

        Raises:
            NotConnectable: There is no usable identity any more.
        """
        return await load_credentials(self._kubeconfig)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        content_type: str = JSON,
        timeout: float = REQUEST_TIMEOUT_SECONDS,  # noqa: ASYNC109 - the protocol's signature
    ) -> Json:
        """Return the decoded answer to ``method path``; see ``Gateway.call``."""
        # All attempts share the time: a leader reckons that nothing is sent after it.
        end = self._clock() + timeout
        for pause in WARM_UP_PAUSES_SECONDS:
            left = end - self._clock()
            try:
                return await self._call_once(method, path, body, content_type, left)
            except Forbidden as error:
                if not self._may_be_warming_up(error) or self._clock() + pause >= end:
                    raise
                await self._sleep(pause)
        return await self._call_once(method, path, body, content_type, end - self._clock())

    def _may_be_warming_up(self, error: Forbidden) -> bool:
        recent = self._clock() - self._connected_at < WARM_UP_SECONDS
        return recent and error.status == HTTPStatus.FORBIDDEN

    async def _call_once(
        self, method: str, path: str, body: Any, content_type: str, seconds: float
    ) -> Json:
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(method, path, body, content_type, seconds)
        except TimeoutError as error:
            raise Unreachable(
                f"{method} {path}: no answer within {seconds:g} s", status=0
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{method} {path}: {type(error).__name__}", status=0) from error

    async def _exchange(
        self, method: str, path: str, body: Any, content_type: str, seconds: float
    ) -> Json:
        await self._refresh_token()
        headers = {"Accept": JSON, "Content-Type": content_type}
        if self._authorization:
            headers["Authorization"] = self._authorization
        answer = await self._client.call_api(
            method,
            self._client.configuration.host + path,
            headers,
            body,
            _request_timeout=aiohttp.ClientTimeout(total=seconds),
        )
        response: aiohttp.ClientResponse = answer.response
        async with response:
            return await self._read(f"{method} {path}", response)

    async def _read(self, request: str, response: aiohttp.ClientResponse) -> Json:
        if not response.ok:
            if response.status == HTTPStatus.UNAUTHORIZED:
                self._token_due = self._clock()
            refusal = await _bounded(response, MAX_REFUSAL_BYTES) or b""
            raise error_from(request, response.status, response.headers, refusal)
        data = await _bounded(response, MAX_ANSWER_BYTES)
        if data is None:
            raise AnswerTooLarge(f"{request}: more than {MAX_ANSWER_BYTES} bytes", status=0)
        return decode(request, data)

    async def _refresh_token(self) -> None:
        if self._clock() < self._token_due:
            return
        self._token_due = self._clock() + TOKEN_LIFE_SECONDS
        try:
            self._authorization = authorization(await load_configuration(self._kubeconfig))
        except NotConnectable as error:
            # The old token may still be good; if not, the server says so.
            _logger.warning("credentials not read again", reason=error.reason, error=str(error))

    def _tracing(self) -> aiohttp.TraceConfig:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_start.append(self._note_connection)
        return tracing

    async def _note_connection(self, *_: object) -> None:
        self._connected_at = self._clock()


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """Return the body, or None if it is longer than ``limit`` bytes."""
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > limit:
            return None
    return bytes(data)
