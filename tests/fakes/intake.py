"""A cluster with agents in it, and evidence services in front: what intake is tested with.

Everything is real but the API server, the silicon and the clocks.
"""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import aiohttp
import msgspec

from fakes.endorsing import FakeEndorsements
from fakes.fake_api import FakeApi, Request
from fakes.simulated import authority, machine
from nodeproof.binding import report_data
from nodeproof.protocol import (
    CHALLENGES_PATH,
    EVIDENCE_PATH,
    PROTOCOL_VERSION,
    UNAVAILABLE_PATH,
    ChallengeAnswer,
    ChallengeRequest,
    EvidenceSubmission,
    Refusal,
    Unavailability,
    decode,
    encode,
)
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.unavailability import Cause
from nodeproof_operator.cluster.objects import (
    AGENT,
    CA_BUNDLE,
    CHALLENGE_KEYS,
    SERVING_CERTIFICATE,
    config_map,
    daemon_set,
    node,
    node_attestation,
    pod,
    secret,
)
from nodeproof_operator.cluster.records import Records
from nodeproof_operator.cluster.secrets import SealedStore
from nodeproof_operator.cluster.views import Record, view_record
from nodeproof_operator.intake.admission import (
    ADDRESS_RATE,
    NODE_RATE,
    Rate,
    RateLimiter,
    RefusedTokens,
)
from nodeproof_operator.intake.challenges import Keyring
from nodeproof_operator.intake.identity import Authenticator
from nodeproof_operator.intake.listener import listening
from nodeproof_operator.intake.registry import Registry
from nodeproof_operator.intake.server import Intake, Result
from nodeproof_operator.intake.service import EvidenceService
from nodeproof_operator.intake.verification import VerificationPool

NAMESPACE = "nodeproof-system"
AGENTS = "nodeproof-agents"
CLUSTER_UID = "cluster-uid"
DAEMON_SET_UID = "daemon-set-uid"
INTERVAL_SECONDS = 300
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A day after the simulated certificates were made."""

_EXTRA = "authentication.kubernetes.io/"


@dataclass(slots=True)
class Time:
    """Both clocks of a test: ``now`` for dates, ``monotonic`` for durations."""

    elapsed: timedelta = timedelta()

    def now(self) -> datetime:
        return NOW + self.elapsed

    def monotonic(self) -> float:
        return self.elapsed.total_seconds()

    def pass_by(self, **duration: float) -> None:
        self.elapsed += timedelta(**duration)


@dataclass(slots=True)
class Observed:
    """An IntakeObserver that remembers."""

    attempts: list[tuple[Result, str, str]] = field(default_factory=list)

    def attempt(self, result: Result, reason: str, signer: str) -> None:
        self.attempts.append((result, reason, signer))


def token_of(name: str, **claims: Any) -> str:
    """Return a token with the form of a bound ServiceAccount token; only TokenReview knows it."""
    payload = {"aud": ["nodeproof"], "exp": (NOW + timedelta(days=2)).timestamp(), "sub": name}
    encoded = urlsafe_b64encode(json.dumps(payload | claims).encode()).rstrip(b"=").decode()
    return f"e30.{encoded}.c2lnbmF0dXJl"


def review_of(number: int, **extra: Any) -> dict[str, Any]:
    """Return what the API server says about the token of an agent's Pod."""
    facts = {
        "node-name": [f"node-{number}"],
        "node-uid": [f"node-uid-{number}"],
        "pod-name": [f"agent-{number}"],
        "pod-uid": [f"pod-uid-{number}"],
    } | extra
    return {
        "authenticated": True,
        "audiences": ["nodeproof"],
        "user": {
            "username": f"system:serviceaccount:{AGENTS}:{AGENT}",
            "extra": {_EXTRA + key: value for key, value in facts.items() if value is not None},
        },
    }


def cluster(nodes: int = 2) -> FakeApi:
    """Return an API server with the installation, and Nodes with a running agent each."""
    api = FakeApi()
    for name in (CHALLENGE_KEYS, SERVING_CERTIFICATE):
        api.put(secret(NAMESPACE, name), {})
    api.put(config_map(NAMESPACE, CHALLENGE_KEYS), {})
    api.put(config_map(AGENTS, CA_BUNDLE), {})
    api.put(daemon_set(AGENTS, AGENT), {"metadata": {"uid": DAEMON_SET_UID}})
    for number in range(1, nodes + 1):
        add_agent(api, number)
    return api


def add_agent(api: FakeApi, number: int) -> None:
    """Add a Node, its agent's Pod and the Pod's token."""
    api.put(node(f"node-{number}"), {"metadata": {"uid": f"node-uid-{number}"}})
    owner = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "name": AGENT,
        "uid": DAEMON_SET_UID,
        "controller": True,
    }
    api.put(
        pod(AGENTS, f"agent-{number}"),
        {
            "metadata": {"uid": f"pod-uid-{number}", "ownerReferences": [owner]},
            "spec": {"nodeName": f"node-{number}"},
        },
    )
    api.token_reviews[token_of(f"agent-{number}")] = review_of(number)


def record_of(api: FakeApi, number: int = 1) -> Record:
    """Return a node's NodeAttestation as it is stored."""
    return view_record(api.read(node_attestation(f"node-{number}")))


@dataclass(frozen=True, slots=True)
class Answered:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def refusal(self) -> Refusal:
        return decode(self.body, Refusal)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent that may lie: every step can be given something else than it should."""

    session: aiohttp.ClientSession
    url: str
    token: str
    machine: SimulatedMachine

    async def post(self, path: str, body: bytes, token: str | None = None) -> Answered:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        async with self.session.post(self.url + path, data=body, headers=headers) as response:
            return Answered(response.status, dict(response.headers), await response.read())

    async def ask(self) -> Answered:
        return await self.post(CHALLENGES_PATH, encode(ChallengeRequest(PROTOCOL_VERSION)))

    async def challenge(self) -> bytes:
        answered = await self.ask()
        return decode(answered.body, ChallengeAnswer).challenge

    def evidence(self, challenge: bytes) -> EvidenceSubmission:
        return EvidenceSubmission(
            protocol=PROTOCOL_VERSION,
            challenge=challenge,
            boot_id=self.machine.boot_id,
            report=self.machine.attest(report_data(challenge, self.machine.boot_id)),
            certificates=self.machine.certificate_table(),
        )

    async def submit(self, submission: EvidenceSubmission, token: str | None = None) -> Answered:
        return await self.post(EVIDENCE_PATH, encode(submission), token)

    async def excuse(self, cause: str = Cause.KEY_DISABLED, message: str = "no key") -> Answered:
        """Say why there is no evidence."""
        said = Unavailability(PROTOCOL_VERSION, cause, message)
        return await self.post(UNAVAILABLE_PATH, encode(said))

    async def attest(self, **changes: Any) -> Answered:
        """Ask, answer, submit; ``changes`` are fields of the submission."""
        submission = self.evidence(await self.challenge())
        return await self.submit(msgspec.structs.replace(submission, **changes))


@dataclass(frozen=True, slots=True)
class Replica:
    """One operator process's evidence service, listening."""

    intake: Intake
    port: int
    observed: Observed
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def keyring(self) -> Keyring:
        return self.intake.service.keyring

    @property
    def endorsements(self) -> FakeEndorsements:
        known = self.intake.service.endorsements
        assert isinstance(known, FakeEndorsements)
        return known

    def agent(self, number: int = 1) -> Agent:
        return Agent(self.session, self.url, token_of(f"agent-{number}"), machine(seed=number))


@dataclass(frozen=True, slots=True)
class Options:
    """How a replica differs from what tests usually want."""

    anchors: Sequence[TrustAnchor] | None = None
    cluster_uid: str = CLUSTER_UID
    node_rate: Rate = NODE_RATE
    address_rate: Rate = ADDRESS_RATE
    body_seconds: float = 10.0
    idle_seconds: float = 15.0
    max_requests: int = 100
    waiting: int = 100


def keyring_for(api: FakeApi, time: Time) -> Keyring:
    return Keyring(SealedStore(api, NAMESPACE), time.now, time.monotonic)


def service_for(
    api: FakeApi, time: Time, options: Options, pool: VerificationPool
) -> EvidenceService:
    anchors = (authority(Product.MILAN).anchor(),) if options.anchors is None else options.anchors
    return EvidenceService(
        cluster_uid=options.cluster_uid,
        authenticator=Authenticator(api, AGENTS, RefusedTokens(time.monotonic), time.now),
        node_limiter=RateLimiter(options.node_rate, time.monotonic),
        keyring=keyring_for(api, time),
        registry=Registry(Records(api)),
        pool=pool,
        endorsements=FakeEndorsements(),
        anchors=anchors,
        interval_seconds=lambda: INTERVAL_SECONDS,
        clock=time.now,
        random=Random(1),  # noqa: S311 - spreads visits, keeps no secret
    )


@asynccontextmanager
async def replica(
    api: FakeApi, time: Time, options: Options | None = None
) -> AsyncIterator[Replica]:
    """Run an evidence service on a loopback port, with its keys read."""
    options = options or Options()
    pool = VerificationPool(lambda _: None, workers=1, waiting=options.waiting)
    service = service_for(api, time, options, pool)
    observed = Observed()
    intake = Intake(
        service=service,
        address_limiter=RateLimiter(options.address_rate, time.monotonic),
        observer=observed,
        body_seconds=options.body_seconds,
        max_requests=options.max_requests,
    )
    await service.keyring.refresh()
    try:
        async with (
            listening(
                intake.application(), "127.0.0.1", 0, idle_seconds=options.idle_seconds
            ) as port,
            aiohttp.ClientSession() as session,
        ):
            yield Replica(intake, port, observed, session)
    finally:
        pool.close()


def flipped(data: bytes, bit: int) -> bytes:
    """Return the bytes with one bit turned."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def rebooted(agent: Agent, **launch: Any) -> Agent:
    """Return the same agent after its machine was launched anew."""
    return replace(agent, machine=agent.machine.reboot(**launch))


def touch(api: FakeApi, number: int = 1) -> None:
    """Let somebody else write a node's NodeAttestation."""
    path = node_attestation(f"node-{number}")
    api.put(path, api.read(path))


def before_next(method: str, act: Callable[[], None]) -> Callable[[Request], Awaitable[None]]:
    """Return a hook for FakeApi that acts once, just before the next such request is served."""
    left = [act]

    async def hook(request: Request) -> None:
        if request.method == method and left:
            left.pop()()

    return hook


def meeting(method: str, number: int) -> Callable[[Request], Awaitable[None]]:
    """Return a hook for FakeApi that lets such requests go on only when so many have come."""
    arrived = 0
    complete = asyncio.Event()

    async def hook(request: Request) -> None:
        nonlocal arrived
        if request.method == method:
            arrived += 1
            if arrived >= number:
                complete.set()
            await complete.wait()

    return hook
