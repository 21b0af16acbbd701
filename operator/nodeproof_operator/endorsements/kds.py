"""HTTPS to AMD's key distribution service (KDS) or a mirror of it, bounded in size and time.

The server is believed nothing: what it sends counts only after it has been verified. TLS keeps
others from reading which chips we have and from keeping revocation lists from us.
"""

from __future__ import annotations

import asyncio
import ssl
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import aiohttp
from yarl import URL

from nodeproof.sevsnp.kds import CollateralName, path_of, size_limit
from nodeproof_operator.endorsements.errors import (
    AnswerTooLarge,
    CAFileUnusable,
    KDSError,
    NotOffered,
    Throttled,
    Unavailable,
)

CONNECT_SECONDS = 5.0
"""One TCP connection."""

REQUEST_SECONDS = 20.0
"""One request with its whole answer."""

MAX_CA_FILE_BYTES = 1024 * 1024
"""A ConfigMap, which the file usually comes from, holds no more."""

_MAX_DIGITS = 9  # of Retry-After: thirty years, and far from overflow


class KDS(Protocol):
    """Where collateral is asked for; tests put something else in its place."""

    async def get(self, name: CollateralName) -> bytes:
        """Return what the KDS hands out under this name, unverified.

        Raises:
            KDSError: It was not to be had.
        """
        ...


class KDSClient:
    """Implements ``KDS`` over HTTPS; an async context manager, for one event loop.

    Proxies, credentials and cookies of the environment are not looked at, redirects not followed.

    Args:
        base_url: ``https://host[:port][/path]``; ``nodeproof.sevsnp.kds.BASE_URL`` is AMD's own.
        ca_file: PEM certificates that replace the system's. Read again for every request, so that
            a rotation needs no restart.
        proxy: URL of an HTTP proxy; it may hold credentials, which appear nowhere else.
        connect_seconds: How long one TCP connection may take.
        request_seconds: How long one request with its answer may take.
    """

    def __init__(
        self,
        base_url: str,
        *,
        ca_file: Path | None = None,
        proxy: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._ca_file = ca_file
        self._proxy = proxy
        self._timeout = aiohttp.ClientTimeout(total=request_seconds, sock_connect=connect_seconds)
        self._context: ssl.SSLContext | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the client; nothing is sent yet.

        Raises:
            CAFileUnusable: There is nothing to recognise the server by.
        """
        self._context = _trust(self._ca_file)
        self._session = aiohttp.ClientSession(
            # Requests are far apart: a kept connection would only be one that has gone stale.
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "User-Agent": "nodeproof"},
            # What is counted against the limit is what came, not what it unpacks to.
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, name: CollateralName) -> bytes:
        """Return what the KDS hands out under this name, unverified; see ``KDS.get``."""
        if self._session is None:
            raise Unavailable("the client of the key service is not open")
        try:
            async with self._session.get(
                URL(self._base_url + path_of(name), encoded=True),
                ssl=self._recognised_by(),
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                _check_status(response)
                return await _read(response, size_limit(name))
        # ValueError: headers that the library cannot make sense of.
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _unavailable(error) from error

    def _recognised_by(self) -> ssl.SSLContext:
        if self._ca_file is not None or self._context is None:
            self._context = _trust(self._ca_file)
        return self._context


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the file's certificates, or the system's if there is no file."""
    if ca_file is None:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load(context, ca_file)
    # AMD's own server speaks no newer one; RFC 9325, section 3.1, allows none below.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load(context: ssl.SSLContext, ca_file: Path) -> None:
    try:
        with ca_file.open("rb") as file:
            # What is cut off makes the last certificate unreadable, and with it the file.
            content = file.read(MAX_CA_FILE_BYTES)
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (OSError, ValueError) as error:
        raise CAFileUnusable(
            "the CA file for the key service holds no usable certificate",
            expected="PEM certificates",
            observed=str(error),
        ) from error


def _check_status(response: aiohttp.ClientResponse) -> None:
    """Check that an answer holds what was asked for.

    Raises:
        KDSError: It does not; an answer of 404 or 429 has its own.
    """
    if response.status == HTTPStatus.OK:
        return
    kind, message = _REFUSALS.get(response.status, _UNEXPECTED)
    raise kind(
        message,
        retry_after_seconds=retry_after(
            response.headers.get("Retry-After", ""), response.headers.get("Date", "")
        ),
        expected="status 200",
        observed=f"status {response.status}",
    )


_REFUSALS: dict[int, tuple[type[KDSError], str]] = {
    HTTPStatus.NOT_FOUND: (NotOffered, "the key service does not have it"),
    HTTPStatus.TOO_MANY_REQUESTS: (Throttled, "the key service is asked too often"),
}
_UNEXPECTED: tuple[type[KDSError], str] = (
    Unavailable,
    "the key service did not answer as it should",
)


def retry_after(value: str, date: str) -> float | None:
    """Return the seconds that a Retry-After header stands for, None if it says nothing.

    Args:
        value: The header: seconds, or a date (RFC 9110, section 10.2.3).
        date: The Date header of the same answer, so that our own clock does not come into it.
    """
    if value.isascii() and value.isdigit():
        return float(value[:_MAX_DIGITS])
    try:
        waits = parsedate_to_datetime(value) - parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, waits.total_seconds())


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, asking for at most one byte more than it may have.

    Raises:
        AnswerTooLarge: It has more than ``limit`` bytes.
    """
    try:
        await response.content.readexactly(limit + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    raise AnswerTooLarge("the key service's answer is too large", expected=f"at most {limit} bytes")


def _unavailable(error: Exception) -> Unavailable:
    if isinstance(error, aiohttp.ClientSSLError):
        cause = error.__cause__
        verdict = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else ""
        return Unavailable(
            "the server is not shown to be the key service",
            expected="a certificate for its name under a trusted CA",
            observed=verdict or str(cause or type(error).__name__),
        )
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Unavailable("the proxy refuses", observed=f"status {error.status}")
    # The library's own texts show addresses of Python objects, or the URL of the proxy.
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    told = str(cause) if isinstance(cause, OSError) else ""
    return Unavailable("the key service gave no answer", observed=told or type(cause).__name__)
