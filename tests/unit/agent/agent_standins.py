"""Stand-ins for what an agent meets: its token, its platform, its operator, time and chance."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from random import Random

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from fakes.https_server import HTTPSServer
from nodeproof import challenge as challenges
from nodeproof.binding import report_data
from nodeproof.protocol import (
    CHALLENGES_PATH,
    EVIDENCE_PATH,
    UNAVAILABLE_PATH,
    ChallengeAnswer,
    EvidenceReceipt,
    EvidenceSubmission,
    Refusal,
    Unavailability,
    UnavailabilityReceipt,
    decode,
    encode,
)
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.identity import AgentIdentity
from nodeproof_agent.providers import PlatformEvidence

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
OWN = AgentIdentity(
    node_name="node-1", node_uid="node-uid-1", pod_name="agent-abcde", pod_uid="pod-uid-1"
)
CHALLENGE_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
INTERVAL = 300.0

Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


def token_with(claims: object, *, signature: str = "c2lnbmF0dXJl") -> str:
    """Return a JWT with these claims and no valid signature."""
    parts = (json.dumps({"alg": "RS256"}), json.dumps(claims))
    encoded = (base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)
    return ".".join((*encoded, signature))


def token_of(identity: AgentIdentity = OWN, *, signature: str = "c2lnbmF0dXJl") -> str:
    """Return a token with the claims that Kubernetes binds to a Pod."""
    return token_with(
        {
            "aud": ["nodeproof"],
            "kubernetes.io": {
                "namespace": "nodeproof-agents",
                "node": {"name": identity.node_name, "uid": identity.node_uid},
                "pod": {"name": identity.pod_name, "uid": identity.pod_uid},
                "serviceaccount": {"name": "nodeproof-agent", "uid": "sa-uid"},
            },
        },
        signature=signature,
    )


def challenge_for(token: str, subject: AgentIdentity = OWN, *, sequence: int = 0) -> bytes:
    """Return a signed challenge for the holder of the token."""
    return challenges.mint(
        challenges.Challenge(
            key_id=challenges.key_id(CHALLENGE_KEY.public_key()),
            nonce=bytes([sequence]) * challenges.NONCE_SIZE,
            issued_time=NOW,
            subject=challenges.Subject(
                cluster_uid="cluster-uid",
                node_name=subject.node_name,
                node_uid=subject.node_uid,
                pod_uid=subject.pod_uid,
                token_digest=challenges.token_digest(token),
            ),
            node_attestation_uid="natt-uid",
            sequence=sequence,
        ),
        CHALLENGE_KEY,
    )


def receipt(*, next_seconds: float = INTERVAL) -> EvidenceReceipt:
    """Return what an operator says to good evidence."""
    return EvidenceReceipt(sequence=1, next_seconds=next_seconds)


class HighestRandom(Random):
    """Jitter is always as large as it may be."""

    def uniform(self, a: float, b: float) -> float:
        assert a <= b
        return b


@dataclass
class FakeTime:
    """Time that passes only when a test lets a sleeper go."""

    now: float = 1000.0
    asked: asyncio.Queue[float] = field(default_factory=asyncio.Queue)
    _passes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        await self._passes.acquire()
        self.now += seconds

    async def pass_by(self) -> float:
        """Wait for somebody to sleep, let the time pass, return how much."""
        seconds = await self.asked.get()
        self.release()
        return seconds

    def release(self) -> None:
        """Let the time of one sleeper pass."""
        self._passes.release()


@dataclass
class FakeProvider:
    """A platform that answers at once, or as it is told."""

    name: str = "fake"
    fault: Exception | None = None
    signs: bytes | None = None
    certificates: bytes = b"certificate table"
    size: int = 1184
    asked: list[bytes] = field(default_factory=list)
    before: Callable[[], object] = lambda: None
    begun: threading.Event = field(default_factory=threading.Event)

    def boot_id(self) -> str:
        return "boot-1"

    def attest(self, data: bytes) -> PlatformEvidence:
        self.asked.append(data)
        self.begun.set()
        self.before()
        if self.fault is not None:
            raise self.fault
        report = bytearray(1184)
        report[0x50:0x90] = data if self.signs is None else self.signs
        return PlatformEvidence(bytes(report[: self.size]), self.certificates)


def no_device(cause: Cause = Cause.NO_PLATFORM) -> ProviderFailed:
    """Return what a provider raises; it is another object every time, as in life."""
    return ProviderFailed("there is no device", cause=cause, expected="/dev/sev-guest")


NO_DEVICE = no_device()


class Authority:
    """A throw-away CA."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def server_context(
        self, directory: Path, ends: timedelta = timedelta(hours=1)
    ) -> ssl.SSLContext:
        """Return a context for a server on 127.0.0.1; its certificate ends so long from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
        certificate = (
            self._builder(x509.Name([]), key.public_key(), ends)
            .add_extension(name, critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        file = directory / f"{certificate.serial_number:x}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        ends: timedelta = timedelta(hours=1),
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + ends)
        )


class FakeOperator(HTTPSServer):
    """An evidence service over real HTTPS that accepts everything, unless it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = OWN
        self.tokens: list[tuple[str, str]] = []
        self.submissions: list[EvidenceSubmission] = []
        self.excuses: list[Unavailability] = []
        self._instead: dict[str, list[Responder]] = defaultdict(list)
        self._arrived = asyncio.Condition()

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.tokens]

    def once(self, path: str, *responders: Responder) -> None:
        """Answer the next requests to the path by these."""
        self._instead[path] += responders

    async def reached(self, requests: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(20), self._arrived:
            await self._arrived.wait_for(lambda: len(self.tokens) >= requests)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.tokens.append((request.path, token))
        async with self._arrived:
            self._arrived.notify_all()
        if request.path == EVIDENCE_PATH:
            self.submissions.append(decode(await request.read(), EvidenceSubmission))
        if request.path == UNAVAILABLE_PATH:
            self.excuses.append(decode(await request.read(), Unavailability))
        if self._instead[request.path]:
            return await self._instead[request.path].pop(0)(request)
        if request.path == CHALLENGES_PATH:
            data = challenge_for(token, self.subject, sequence=len(self.tokens))
            return web.Response(body=encode(ChallengeAnswer(challenge=data)))
        if request.path == UNAVAILABLE_PATH:
            return web.Response(body=encode(UnavailabilityReceipt(next_seconds=INTERVAL)))
        last = self.submissions[-1]
        assert last.report[0x50:0x90] == report_data(last.challenge, last.boot_id)
        return web.Response(body=encode(receipt()))


def refuse(
    status: int, reason: str, *, retry_after: int | None = None, header: str | None = None
) -> Responder:
    """Refuse as the operator does."""
    refusal = Refusal(
        reason=reason, message="it is refused", retry_after_seconds=retry_after, expected="better"
    )

    async def respond(_: web.Request) -> web.Response:
        headers = {} if header is None else {"Retry-After": header}
        return web.Response(status=status, body=encode(refusal), headers=headers)

    return respond


def answer(
    body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Responder:
    """Answer with these bytes."""

    async def respond(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    return respond


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Take the request and lose the answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def another(**changes: str) -> AgentIdentity:
    """Return our identity with some parts changed."""
    return replace(OWN, **changes)


def overwrite(path: Path, content: bytes | str) -> None:
    """Replace a file, as a kubelet does."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
