"""The ``nodeproof-agent`` command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import prometheus_client
import structlog

from nodeproof import __version__, logs
from nodeproof_agent.client import OperatorClient
from nodeproof_agent.loop import AttestationLoop
from nodeproof_agent.metrics import Metrics
from nodeproof_agent.providers.selection import choose
from nodeproof_agent.providers.worker import Platform
from nodeproof_agent.round import Round
from nodeproof_agent.settings import Settings, parse
from nodeproof_agent.threads import DaemonThreads
from nodeproof_agent.web import serving

_log = structlog.get_logger()


def main() -> None:
    """Run the agent until SIGTERM, or its doctor; exits with 0 then, with 2 on refused settings."""
    if sys.argv[1:2] == ["doctor"]:
        # Loaded only when asked for: a running agent never holds it in memory.
        from nodeproof_agent.doctor import command  # noqa: PLC0415

        raise SystemExit(command.main(sys.argv[2:], os.environ))
    settings = parse(sys.argv[1:], os.environ)
    logs.configure(settings.log_format, settings.log_level)
    # Creation times double the number of series and say nothing that ours do not.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # its own gap
    try:
        asyncio.run(run(settings))
    except OSError as error:
        _log.error("cannot start", observed=str(error))
        raise SystemExit(1) from error


async def run(settings: Settings) -> None:
    """Attest until a signal says stop.

    Raises:
        OSError: The metrics address cannot be listened on.
    """
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    provider = choose(settings.provider)
    metrics = Metrics(provider=provider.name)
    one_round = Round(
        token_file=settings.token_file,
        operator=OperatorClient(settings.operator_url, settings.ca_file),
        platform=Platform(provider),
    )
    attestation = AttestationLoop(one_round.attest, metrics)
    async with serving(settings.metrics_address, metrics, attestation.health) as port:
        _log.info(
            "agent started",
            version=__version__,
            operator=settings.operator_url,
            provider=provider.name,
            metrics_port=port,
        )
        await _until_signalled(attestation)
    _log.info("agent stopped")


async def _until_signalled(attestation: AttestationLoop) -> None:
    running = asyncio.create_task(attestation.run())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, attestation.attest_now)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, running.cancel)
    await asyncio.wait({running})
    if not running.cancelled():
        running.result()  # it never returns: this raises what it died of


if __name__ == "__main__":
    main()
