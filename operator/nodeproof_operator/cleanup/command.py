"""The command ``nodeproof-operator cleanup``."""

from __future__ import annotations

from collections.abc import Sequence

from nodeproof import logs
from nodeproof_operator.cleanup.settings import Settings, parse
from nodeproof_operator.cleanup.work import Cleanup
from nodeproof_operator.cluster.kubernetes_gateway import KubernetesGateway
from nodeproof_operator.one_shot import run_once, say


def main(arguments: Sequence[str]) -> int:
    """Clean up; return the process's exit status."""
    settings = parse(arguments)
    logs.configure(settings.log_format, settings.log_level)
    return run_once(_run(settings))


async def _run(settings: Settings) -> bool:
    gateway = await KubernetesGateway.connect(settings.kubeconfig)
    try:
        return await Cleanup(settings, gateway, say).run()
    finally:
        await gateway.close()
