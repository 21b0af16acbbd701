"""Evidence from a software SNP platform, for laptops and demonstrations; it proves nothing.

Its reports end in a simulated root, which counts only where the operator was started to accept it
and a policy allows the signer ``Simulated``.

The platform runs in a process of its own, for each report anew, as silicon is apart from software:
the agent neither holds its key nor needs the memory of a cryptographic library.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from nodeproof.sevsnp.layout import REPORT_SIZE
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.files import read_bounded
from nodeproof_agent.providers import PlatformEvidence

_COMMAND = (sys.executable, "-I", "-m", "nodeproof.sevsnp.simulator", "attest")
_SECONDS = 30.0
_STATE_FILE = "machine.json"
_MAX_STATE_BYTES = 64 * 1024

_log = structlog.get_logger()


class _Boot(msgspec.Struct):
    """What of a machine's state is read here."""

    boot_id: str = msgspec.field(name="bootID")


@dataclass(frozen=True, slots=True)
class SimulatedProvider:
    """A simulated machine, loaded anew for every call: a reboot from outside is seen at once."""

    machine: Path
    name: str = "simulated"

    def boot_id(self) -> str:
        """Return the machine's boot ID.

        Raises:
            ProviderFailed: There is no machine.
            OSError: Its state cannot be read.
            ValueError: It is none.
        """
        try:
            state = read_bounded(self.machine / _STATE_FILE, _MAX_STATE_BYTES)
        except FileNotFoundError as error:
            raise ProviderFailed(
                "there is no simulated machine",
                cause=Cause.NO_PLATFORM,
                expected="what `nodeproof-simulator machine` writes",
                observed=str(error),
            ) from error
        return msgspec.json.decode(state, type=_Boot).boot_id

    def attest(self, report_data: bytes) -> PlatformEvidence:
        """Return a report signed by the machine's own VCEK.

        Raises:
            RuntimeError: The platform made none, and said why.
            subprocess.TimeoutExpired: It did not answer.
        """
        answer = subprocess.run(  # noqa: S603 - our own module, no shell
            [*_COMMAND, str(self.machine), "--report-data", report_data.hex()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        if answer.returncode:
            raise RuntimeError(answer.stderr.decode(errors="replace").strip()[-500:])
        output = answer.stdout
        return PlatformEvidence(report=output[:REPORT_SIZE], certificates=output[REPORT_SIZE:])

    def warn(self) -> None:
        """Say loudly, once at start, what this is."""
        _log.warning(
            "SIMULATED PLATFORM: this agent's evidence proves nothing about the machine it runs on",
            provider=self.name,
            path=str(self.machine),
        )
