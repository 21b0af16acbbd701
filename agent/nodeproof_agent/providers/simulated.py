"""Evidence from a software SNP platform, for laptops and demonstrations; it proves nothing.

Its reports end in a simulated root, which counts only where the operator was started to accept it
and a policy allows the signer ``Simulated``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from nodeproof.sevsnp.simulator.processor import SimulatedMachine
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers import PlatformEvidence

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SimulatedProvider:
    """A simulated machine, loaded anew for every call: a reboot from outside is seen at once."""

    machine: Path
    name: str = "simulated"

    def boot_id(self) -> str:
        """Return the machine's boot ID."""
        return self._load().boot_id

    def attest(self, report_data: bytes) -> PlatformEvidence:
        """Return a report signed by the machine's own VCEK."""
        machine = self._load()
        return PlatformEvidence(
            report=machine.attest(report_data), certificates=machine.certificate_table()
        )

    def warn(self) -> None:
        """Say loudly, once at start, what this is."""
        _log.warning(
            "SIMULATED PLATFORM: this agent's evidence proves nothing about the machine it runs on",
            provider=self.name,
            path=str(self.machine),
        )

    def _load(self) -> SimulatedMachine:
        try:
            return SimulatedMachine.load(self.machine)
        except FileNotFoundError as error:
            raise ProviderFailed(
                "there is no simulated machine",
                cause=Cause.NO_PLATFORM,
                expected="what `nodeproof-simulator machine` writes",
                observed=str(error),
            ) from error
