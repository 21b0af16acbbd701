"""The operator's parts and how they are joined; nothing runs in here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from random import SystemRandom

from nodeproof.policy import FreshnessRules, Policy
from nodeproof.sevsnp.roots import AMD_ROOTS, TrustAnchor
from nodeproof_operator.cluster.fleet import Fleet
from nodeproof_operator.cluster.gateway import Gateway, Json, list_all
from nodeproof_operator.cluster.kinds import Kind
from nodeproof_operator.cluster.lease import LeaseElector
from nodeproof_operator.cluster.objects import OPERATOR
from nodeproof_operator.cluster.records import Records
from nodeproof_operator.cluster.secrets import SealedStore
from nodeproof_operator.endorsements.kds import KDS
from nodeproof_operator.enforcement.board import Board, expirations, fleet_states
from nodeproof_operator.enforcement.events import EventPoster
from nodeproof_operator.enforcement.expiry import Sweep
from nodeproof_operator.enforcement.policies import PolicyReporter
from nodeproof_operator.enforcement.queue import WorkQueue
from nodeproof_operator.enforcement.reconcile import Reconciler
from nodeproof_operator.enforcement.term import Term
from nodeproof_operator.enforcement.verification import StoredVerifier
from nodeproof_operator.enforcement.writer import Gate, Writer
from nodeproof_operator.intake.admission import (
    ADDRESS_RATE,
    NODE_RATE,
    RateLimiter,
    RefusedTokens,
)
from nodeproof_operator.intake.ca_bundle import CABundle
from nodeproof_operator.intake.challenges import Keyring
from nodeproof_operator.intake.identity import Authenticator
from nodeproof_operator.intake.registry import Registry
from nodeproof_operator.intake.server import Intake
from nodeproof_operator.intake.service import EvidenceService
from nodeproof_operator.intake.serving import service_names
from nodeproof_operator.intake.tls import SharedCertificate
from nodeproof_operator.intake.tls_files import CertificateFiles
from nodeproof_operator.intake.verification import VerificationPool
from nodeproof_operator.leader import Leader
from nodeproof_operator.metrics import Metrics
from nodeproof_operator.settings import Settings
from nodeproof_operator.supply import Site, Supply

REPROOF_THREADS = 2
"""For evidence that is verified again; it takes half a millisecond and is remembered."""


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """The assembled operator."""

    metrics: Metrics
    keyring: Keyring
    supply: Supply
    certificate: SharedCertificate | CertificateFiles
    intake: Intake
    fleet: Fleet
    elector: LeaseElector
    leader: Leader

    def deliver(self, kind: Kind, event_type: str | None, body: Json) -> None:
        """Take in one watch event."""
        for key in self.fleet.observe(kind, event_type, body):
            self.leader.note(key)


def assemble(settings: Settings, gateway: Gateway, cluster_uid: str, kds: KDS | None) -> Parts:
    """Return all parts, joined; call it in the event loop that will run them.

    Args:
        settings: What the operator was told.
        gateway: The API server.
        cluster_uid: This cluster, as challenges name it.
        kds: AMD's key service; None where nothing may be fetched.
    """
    metrics, fleet = Metrics(), Fleet()
    metrics.describe_build(simulated_allowed=bool(settings.simulated_anchors))
    store = SealedStore(gateway, settings.namespace)
    keyring = Keyring(store, utc_now, time.monotonic)
    # The elector tells the leader, whose terms ask the elector before they write: late bound.
    elector = LeaseElector(
        gateway,
        namespace=settings.namespace,
        identity=settings.identity,
        on_started=lambda: leader.begin(),  # noqa: PLW0108 - see above
        on_stopped=lambda: leader.end(),  # noqa: PLW0108 - see above
    )
    site = Site(gateway, settings.namespace, _anchors(settings), fleet.records, utc_now)
    supply = Supply(
        site,
        kds,
        metrics.endorsements,
        changed=lambda: leader.look_at_all(),  # noqa: PLW0108 - see above
    )
    verifier = _verifier(site, cluster_uid, keyring, supply)
    terms = Terms(settings.identity, gateway, metrics, fleet, verifier, elector)
    leader = Leader(terms.build, metrics.show_leadership)
    authenticator = _authenticator(gateway, settings.agent_namespace)
    service = _service(site, cluster_uid, keyring, supply, fleet, metrics, authenticator)
    return Parts(
        metrics=metrics,
        keyring=keyring,
        supply=supply,
        certificate=_certificate(settings, gateway),
        intake=Intake(service, RateLimiter(ADDRESS_RATE, time.monotonic), metrics),
        fleet=fleet,
        elector=elector,
        leader=leader,
    )


def _verifier(site: Site, cluster_uid: str, keyring: Keyring, supply: Supply) -> StoredVerifier:
    threads = ThreadPoolExecutor(REPROOF_THREADS, "reproof")
    return StoredVerifier(
        cluster_uid, keyring, site.anchors, supply, executor=threads, clock=site.clock
    )


def _service(
    site: Site,
    cluster_uid: str,
    keyring: Keyring,
    supply: Supply,
    fleet: Fleet,
    metrics: Metrics,
    authenticator: Authenticator,
) -> EvidenceService:
    return EvidenceService(
        cluster_uid=cluster_uid,
        authenticator=authenticator,
        node_limiter=RateLimiter(NODE_RATE, time.monotonic),
        keyring=keyring,
        registry=Registry(Records(site.gateway)),
        pool=VerificationPool(metrics.verification.observe),
        endorsements=supply,
        anchors=site.anchors,
        interval_seconds=lambda: _interval_seconds(fleet),
        clock=site.clock,
        random=SystemRandom(),
    )


def _authenticator(gateway: Gateway, namespace: str) -> Authenticator:
    return Authenticator(gateway, namespace, RefusedTokens(time.monotonic), utc_now)


def _interval_seconds(fleet: Fleet) -> int:
    """Return how often nodes attest: as the most demanding policy says."""
    policies = [each for each in fleet.policies().values() if isinstance(each, Policy)]
    return min(
        (each.spec.freshness.interval_seconds for each in policies),
        default=FreshnessRules().interval_seconds,
    )


def _anchors(settings: Settings) -> Sequence[TrustAnchor]:
    return (*AMD_ROOTS, *settings.simulated_anchors)


def _certificate(settings: Settings, gateway: Gateway) -> SharedCertificate | CertificateFiles:
    bundle = CABundle(SealedStore(gateway, settings.agent_namespace), utc_now)
    if settings.tls_files is not None:
        return CertificateFiles(settings.tls_files, bundle, utc_now)
    names = service_names(OPERATOR, settings.namespace, settings.advertise_names)
    return SharedCertificate(SealedStore(gateway, settings.namespace), bundle, names, utc_now)


@dataclass(frozen=True, slots=True)
class Terms:
    """Builds what leads: queue, gate, reconciler and the rest, anew for every term."""

    identity: str
    gateway: Gateway
    metrics: Metrics
    fleet: Fleet
    verifier: StoredVerifier
    elector: LeaseElector

    def build(self) -> Term:
        """Return a term that remembers nothing: another replica may have led in between."""
        gate, board, random = Gate(self.elector), Board(), SystemRandom()
        queue = WorkQueue(time.monotonic, random)
        records, events = Records(self.gateway), EventPoster(self.gateway, self.identity, utc_now)
        sweep = Sweep(
            queue,
            gate,
            relist=self._relist,
            names=lambda: self._names(board),
            clock=time.monotonic,
            sleep=asyncio.sleep,
            random=random,
        )
        reconciler = Reconciler(
            fleet=self.fleet,
            verifier=self.verifier,
            records=records,
            writer=self._writer(gate, queue),
            board=board,
            clock=utc_now,
            announce=events.announce,
        )
        reporter = self._reporter(gate, board, records)
        return Term(gate, queue, sweep, reconciler.reconcile, (reporter.run, events.run))

    def _writer(self, gate: Gate, queue: WorkQueue) -> Writer:
        def observe(body: Json) -> None:
            # What others changed before our write is in the answer, and old news to the watch.
            for key in self.fleet.observe(Kind.NODE, None, body):
                queue.add(key.name)

        return Writer(
            self.gateway,
            gate,
            clock=utc_now,
            count=self.metrics.count_write,
            observe=observe,
        )

    def _reporter(self, gate: Gate, board: Board, records: Records) -> PolicyReporter:
        return PolicyReporter(
            self.fleet,
            board,
            records,
            publish=lambda seen: self.metrics.set_fleet(fleet_states(seen), expirations(seen)),
            clock=utc_now,
            sleep=asyncio.sleep,
            may_write=gate.check,
        )

    async def _relist(self) -> None:
        for kind in Kind:
            self.fleet.replace(kind, await list_all(self.gateway, kind.path))

    def _names(self, board: Board) -> Iterable[str]:
        return {
            *self.fleet.nodes(),
            *self.fleet.records(),
            *(each.node_name for each in board),
        }
