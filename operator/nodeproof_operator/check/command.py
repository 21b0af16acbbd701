"""The command ``nodeproof-operator check``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from nodeproof import logs
from nodeproof_operator.check.findings import Finding
from nodeproof_operator.check.judging import has_failed, judge, report
from nodeproof_operator.check.reading import Reader
from nodeproof_operator.check.seen import Seen
from nodeproof_operator.check.service import trouble
from nodeproof_operator.check.settings import Settings, parse
from nodeproof_operator.cluster.kubernetes_gateway import KubernetesGateway
from nodeproof_operator.one_shot import run_once, say

PAUSE_SECONDS = 2.0
"""Between two looks while waiting."""


def main(arguments: Sequence[str]) -> int:
    """Check; return the process's exit status."""
    settings = parse(arguments)
    logs.configure(settings.log_format, settings.log_level)
    return run_once(_run(settings))


async def _run(settings: Settings) -> bool:
    gateway = await KubernetesGateway.connect(settings.kubeconfig)
    try:
        reader = Reader(gateway, settings.place, trouble)
        findings = await look(reader.read, settings.wait_seconds)
    finally:
        await gateway.close()
    for line in report(findings):
        say(line)
    return not has_failed(findings)


async def look(
    read: Callable[[], Awaitable[Seen]],
    wait_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[Finding]:
    """Return the findings of the first look at which nothing has failed, else of the last.

    Args:
        read: Takes one look.
        wait_seconds: No look begins later than this.
        clock: Seconds of a clock that nobody sets.
        sleep: Waits some seconds.
    """
    end = clock() + wait_seconds
    while True:
        findings = judge(await read())
        if not has_failed(findings) or clock() + PAUSE_SECONDS > end:
            return findings
        await sleep(PAUSE_SECONDS)
