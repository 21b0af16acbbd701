"""The agent's side of the protocol: HTTPS to one operator, bounded in size and time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar

import aiohttp

from nodeproof.errors import MessageError, MessageMalformed, MessageTooLarge
from nodeproof.protocol import (
    CHALLENGES_PATH,
    EVIDENCE_PATH,
    MAX_ANSWER_BYTES,
    PROTOCOL_VERSION,
    UNAVAILABLE_PATH,
    ChallengeAnswer,
    ChallengeRequest,
    EvidenceReceipt,
    EvidenceSubmission,
    Refusal,
    Unavailability,
    UnavailabilityReceipt,
    decode,
    encode,
)
from nodeproof_agent.errors import (
    AnswerUnexpected,
    OperatorRefused,
    OperatorUnreachable,
    OperatorUntrusted,
)
from nodeproof_agent.trust import tls_context

REQUEST_SECONDS = 20.0
"""One request with its answer; the operator gives each of its own steps at most five."""

CONNECT_SECONDS = 5.0
"""One TCP connection, within the above."""

_HTTP_OK = 200
_HTTP_FIRST_ERROR = 400
_MAX_DIGITS = 9  # of Retry-After: thirty years, and far from overflow

_Answer = TypeVar("_Answer", ChallengeAnswer, EvidenceReceipt, UnavailabilityReceipt)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The requests of one round, all with the same token and under the same CA bundle."""

    session: aiohttp.ClientSession = field(repr=False)
    url: str
    token: str = field(repr=False)

    async def challenge(self) -> bytes:
        """Return a fresh challenge as received.

        Raises:
            AgentError: The operator cannot be reached or trusted, or refuses.
            MessageError: Its answer is too large or not a message.
        """
        request = ChallengeRequest(protocol=PROTOCOL_VERSION)
        answer = await self._ask(CHALLENGES_PATH, encode(request), ChallengeAnswer)
        return answer.challenge

    async def submit(self, submission: EvidenceSubmission) -> EvidenceReceipt:
        """Hand in evidence; the same submission may be handed in again.

        Raises:
            AgentError: The operator cannot be reached or trusted, or refuses.
            MessageError: Its answer is too large or not a message.
        """
        return await self._ask(EVIDENCE_PATH, encode(submission), EvidenceReceipt)

    async def excuse(self, unavailability: Unavailability) -> UnavailabilityReceipt:
        """Say why there is no evidence.

        Raises:
            AgentError: The operator cannot be reached or trusted, or refuses.
            MessageError: Its answer is too large or not a message.
        """
        return await self._ask(UNAVAILABLE_PATH, encode(unavailability), UnavailabilityReceipt)

    async def _ask(self, path: str, body: bytes, kind: type[_Answer]) -> _Answer:
        try:
            async with self.session.post(
                self.url + path,
                data=body,
                headers={"Authorization": f"Bearer {self.token}"},
                # A redirect would carry the token to wherever it points.
                allow_redirects=False,
            ) as response:
                data = await _read(response)
        except aiohttp.ClientSSLError as error:
            raise _untrusted(error) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error
        if response.status != _HTTP_OK:
            _refuse(response, data)
        return decode(data, kind, limit=MAX_ANSWER_BYTES)


@dataclass(frozen=True, slots=True)
class OperatorClient:
    """Where the operator is and how it is recognised.

    Attributes:
        url: ``https://host:port``, without a path.
        ca_file: The CA bundle; read again for every exchange, so that a rotation needs no restart.
        request_seconds: How long one request may take.
    """

    url: str
    ca_file: Path
    request_seconds: float = REQUEST_SECONDS

    @asynccontextmanager
    async def exchange(self, token: str) -> AsyncIterator[Exchange]:
        """Open the requests of one round.

        Proxies and credentials of the environment are not looked at: the operator is a Service.

        Raises:
            CABundleUnusable: There is nothing to recognise the operator by.
        """
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls_context(self.ca_file)),
            timeout=aiohttp.ClientTimeout(total=self.request_seconds, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            # What is counted against the limit is what came, not what it unpacks to.
            auto_decompress=False,
            trust_env=False,
        ) as session:
            yield Exchange(session=session, url=self.url, token=token)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    try:
        await response.content.readexactly(MAX_ANSWER_BYTES + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    raise MessageTooLarge(
        "the operator's answer is too large", expected=f"at most {MAX_ANSWER_BYTES} bytes"
    )


def _refuse(response: aiohttp.ClientResponse, data: bytes) -> NoReturn:
    try:
        if response.status < _HTTP_FIRST_ERROR:
            raise MessageMalformed("a redirect or a success without its message")
        refusal = decode(data, Refusal, limit=MAX_ANSWER_BYTES)
    except MessageError as error:
        raise AnswerUnexpected(
            "the answer is not of the protocol: is this the operator?",
            expected="status 200, or an error with a refusal",
            observed=f"status {response.status}",
        ) from error
    raise OperatorRefused(response.status, refusal, _retry_after(response, refusal))


def _retry_after(response: aiohttp.ClientResponse, refusal: Refusal) -> float | None:
    """Return the seconds of the header, or else of the body; HTTP dates would need two clocks."""
    header = response.headers.get("Retry-After", "")
    if header.isascii() and header.isdigit():
        return float(header[:_MAX_DIGITS])
    return refusal.retry_after_seconds


def _untrusted(error: aiohttp.ClientSSLError) -> OperatorUntrusted:
    cause = error.__cause__
    verdict = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else ""
    return OperatorUntrusted(
        "the server is not shown to be the operator",
        expected="a certificate for its name under our CA",
        observed=verdict or str(error),
    )


def _unreachable(error: Exception) -> OperatorUnreachable:
    # The connector's own text shows addresses of Python objects; the system's says what happened.
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return OperatorUnreachable(
        "the operator gave no answer", observed=str(cause) or type(cause).__name__
    )
