"""The operator's life: connect, watch, serve, lead when it is this replica's turn, and stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from nodeproof_operator.assembly import Parts, assemble
from nodeproof_operator.cluster.crds import wait_for_crds
from nodeproof_operator.cluster.kubernetes_gateway import KubernetesGateway
from nodeproof_operator.cluster.objects import CLUSTER_IDENTITY
from nodeproof_operator.cluster.runner import Runner
from nodeproof_operator.endorsements.kds import KDSClient
from nodeproof_operator.endorsements.source import UPKEEP_SECONDS
from nodeproof_operator.intake.listener import listening
from nodeproof_operator.intake.probes import probe_application
from nodeproof_operator.intake.tls import SharedCertificate
from nodeproof_operator.intake.tls_files import CertificateFiles
from nodeproof_operator.intake.upkeep import keep_fresh
from nodeproof_operator.settings import Settings
from nodeproof_operator.supply import Supply

KEYRING_SECONDS = 30.0
"""Between two readings of the challenge keys; a new one is stored five minutes before it signs."""

_LOG = structlog.get_logger()


async def operate(settings: Settings) -> None:
    """Run the operator until cancelled.

    Raises:
        NotConnectable: There is no usable identity for the API server.
        CrdsMissing: The CRDs are not applied.
        ApiError: The API server cannot be asked at the start.
        CAFileUnusable: The key service could not be recognised.
        ExceptionGroup: A part has broken that the operator cannot be without.
    """
    async with _gateway(settings) as gateway, _kds(settings) as kds:
        await wait_for_crds(gateway)
        identity = await gateway.call("GET", CLUSTER_IDENTITY)
        parts = assemble(settings, gateway, identity["metadata"]["uid"], kds)
        await parts.supply.begin()
        runner = Runner(gateway.credentials, parts.deliver, parts.leader.list_soon)
        async with asyncio.TaskGroup() as tasks, _serving(settings, parts):
            tasks.create_task(keep_fresh("challenge keys", parts.keyring.refresh, KEYRING_SECONDS))
            _keep_certified(tasks, parts.certificate)
            _keep_supplied(tasks, parts.supply)
            tasks.create_task(runner.run())
            tasks.create_task(parts.leader.watch())
            tasks.create_task(parts.elector.run())
            _LOG.info("operator started", namespace=settings.namespace, identity=settings.identity)
            if settings.simulated_anchors:
                _LOG.warning("simulated platforms may count: their evidence proves nothing")
            await asyncio.Event().wait()


@asynccontextmanager
async def _gateway(settings: Settings) -> AsyncIterator[KubernetesGateway]:
    gateway = await KubernetesGateway.connect(settings.kubeconfig)
    try:
        yield gateway
    finally:
        await gateway.close()


@asynccontextmanager
async def _kds(settings: Settings) -> AsyncIterator[KDSClient | None]:
    """Open the way to AMD's key service, unless nothing may be fetched."""
    if settings.kds_url is None:
        yield None
        return
    ca_file, proxy = settings.kds_ca_file, settings.kds_proxy
    async with KDSClient(settings.kds_url, ca_file=ca_file, proxy=proxy) as client:
        yield client


def _keep_certified(
    tasks: asyncio.TaskGroup, certificate: SharedCertificate | CertificateFiles
) -> None:
    seconds = certificate.refresh_seconds
    tasks.create_task(keep_fresh("serving certificate", certificate.refresh, seconds))


def _keep_supplied(tasks: asyncio.TaskGroup, supply: Supply) -> None:
    rounds = keep_fresh("endorsements", supply.upkeep, UPKEEP_SECONDS, sleep=supply.pause)
    tasks.create_task(rounds)
    if supply.fetcher is not None:
        tasks.create_task(supply.fetcher.run())


@asynccontextmanager
async def _serving(settings: Settings, parts: Parts) -> AsyncIterator[None]:
    """Serve agents and scrapers; agents are let in once there is a certificate to show."""
    probes = probe_application(
        parts.metrics.exposition, unhealthy=tuple, unready=lambda: _unready(parts)
    )
    async with AsyncExitStack() as stack:
        metrics_at, evidence_at = settings.metrics_listen, settings.listen
        await stack.enter_async_context(listening(probes, metrics_at.host, metrics_at.port))
        await stack.enter_async_context(
            listening(
                parts.intake.application(),
                evidence_at.host,
                evidence_at.port,
                tls=parts.certificate.context,
            )
        )
        yield


def _unready(parts: Parts) -> Collection[str]:
    problems = {
        "the challenge keys have not been read": parts.keyring.ready,
        "there is no serving certificate": parts.certificate.ready,
    }
    return [problem for problem, solved in problems.items() if not solved]
