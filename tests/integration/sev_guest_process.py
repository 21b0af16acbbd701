"""A process with the real provider: REPORT_DATA in hex on each line in, what came of it out.

Its two arguments are how long the platform may take, in seconds, and the size of the first
certificate buffer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers.pacing import Pacing
from nodeproof_agent.providers.sev_guest import DEVICE, SevGuestDevice
from nodeproof_agent.providers.worker import Platform

_LONGEST_SLEEP_SECONDS = 0.01


def _hasty(seconds: float) -> None:
    time.sleep(min(seconds, _LONGEST_SLEEP_SECONDS))


async def _outcome(platform: Platform, report_data: bytes) -> dict[str, str]:
    try:
        evidence = await platform.attest(report_data)
    except ProviderFailed as error:
        return {"cause": error.cause, "message": str(error)}
    return {"report": evidence.report.hex(), "certificates": evidence.certificates.hex()}


async def main(patience: str, certificates_size: str) -> None:
    pacing = Pacing(DEVICE, sleep=_hasty)
    provider = SevGuestDevice(pacing=pacing, certificates_size=int(certificates_size))
    platform = Platform(provider, patience_seconds=float(patience))
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await _outcome(platform, bytes.fromhex(line))), flush=True)  # noqa: T201
    os._exit(0)  # a thread that hangs in the driver would keep us


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
