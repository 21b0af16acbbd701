"""The command, run in this process as from a shell, on files that a test lays out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fakes import simulated
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_cli.__main__ import main


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder of certificates and a report beside it; the simulated roots are pinned."""

    directory: Path
    capture: pytest.CaptureFixture[str]
    machine: SimulatedMachine = field(default_factory=simulated.machine)

    @property
    def certs(self) -> Path:
        return self.directory / "certs"

    @property
    def report(self) -> Path:
        return self.directory / "report.bin"

    def lay_out(self, certificates: Sequence[bytes] = (), report: bytes | None = None) -> None:
        """Write a report, the machine's unless given, and certificates under odd names."""
        self.report.write_bytes(self.machine.attest(bytes(64)) if report is None else report)
        self.certs.mkdir(exist_ok=True)
        for number, certificate in enumerate(certificates or self.machine.processor.certificates):
            (self.certs / f"file {number}").write_bytes(certificate)

    def write(self, name: str, data: bytes) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def run(self, *more: str | Path) -> tuple[int, str]:
        """Return exit code and standard output of ``nodeproof verify``."""
        arguments = ["verify", "--report", self.report, "--certs", self.certs, *more]
        anchors = [simulated.authority(product).anchor() for product in Product]
        code = main([str(each) for each in arguments], anchors=anchors, clock=lambda: simulated.NOW)
        return code, self.capture.readouterr().out

    def ask(self, *more: str | Path) -> tuple[int, dict[str, Any]]:
        """Return exit code and the JSON answer."""
        code, out = self.run("--output", "json", *more)
        answer = json.loads(out)
        assert isinstance(answer, dict)
        return code, answer
