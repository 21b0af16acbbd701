"""configfs-tsm for a provider without a mount: its files are the model's."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from nodeproof_agent.providers.tsm_entry import Files
from nodeproof_dev.tsm_model import TsmModel

TABLE = b"certificate table"


def unsigned_report(report_data: bytes, vmpl: int) -> tuple[bytes, bytes]:
    """Return a report over these 64 bytes that nobody signed, and a table."""
    report = bytearray(1184)
    report[0x30:0x34] = vmpl.to_bytes(4, "little")
    report[0x50:0x90] = report_data
    return bytes(report), TABLE


@dataclass
class ModelFiles(Files):
    """Files of the model; ``attribute`` and ``entry`` of a path are its last two parts."""

    model: TsmModel = field(default_factory=lambda: TsmModel(unsigned_report))
    made: list[str] = field(default_factory=list)

    def make(self, path: Path) -> None:
        self.model.make(path.name)
        self.made.append(path.name)

    def remove(self, path: Path) -> None:
        self.model.remove(path.name)

    def exists(self, path: Path) -> bool:
        return path.name in self.model.names()

    def names(self, path: Path) -> list[str]:
        del path
        return self.model.names()

    def read(self, path: Path, limit: int) -> bytes:
        opened = self.model.open(path.parent.name, path.name, os.O_RDONLY)
        return self.model.read(opened)[: limit + 1]

    def write(self, path: Path, value: bytes) -> int:
        opened = self.model.open(path.parent.name, path.name, os.O_WRONLY)
        taken = self.model.write(opened, value, 0)
        self.model.close(opened)
        return taken
