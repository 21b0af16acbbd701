"""Simulated SNP platforms for stand-in nodes: one authority, and a machine for each node."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine, SimulatedProcessor
from nodeproof.sevsnp.simulator.authority import ARK_FILE


class Platforms:
    """One simulated authority and the machines under it.

    Attributes:
        ark: The root's certificate, for the operator's ``--allow-simulated``.
    """

    def __init__(self, directory: Path, product: Product = Product.MILAN) -> None:
        self._directory = directory
        self._authority = SimulatedAuthority.create(product, datetime.now(UTC))
        self._authority.save(directory / "authority")
        self.ark = directory / "authority" / ARK_FILE

    def machine(self, name: str, **launch: Any) -> Path:
        """Launch a machine and return its directory.

        Args:
            name: The directory's name.
            launch: As ``SimulatedMachine.launch`` takes it: measurement, policy, report version.
        """
        directory = self._directory / name
        directory.mkdir(parents=True, exist_ok=True)
        self.launch(**launch).save(directory)
        return directory

    def launch(self, **launch: Any) -> SimulatedMachine:
        """Return a machine that is saved nowhere yet; see ``machine``."""
        processor = SimulatedProcessor.create(self._authority, now=datetime.now(UTC))
        return SimulatedMachine.launch(processor, **launch)
