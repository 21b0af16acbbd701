"""The genuine AMD reports, which are kept beside the project and not in it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("NODEPROOF_VECTORS", Path(__file__).parents[3] / "shared" / "vectors"))
"""Where they are: ``NODEPROOF_VECTORS``, or ``shared/vectors`` beside the project."""

ABSENT = f"no genuine reports in {FOLDER}; NODEPROOF_VECTORS names the folder"

_ANY_TIME = "2026-06-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Vector:
    """One genuine report with the certificates that belong to it, and what to expect of it."""

    folder: Path
    about: dict[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def report(self) -> bytes:
        return self.read("report.bin")

    @property
    def certificates(self) -> list[bytes]:
        """VEK, intermediate and root, without re-issues; none where no VEK is known."""
        names = ("vek.der", "ask.pem", "asvk.pem", "ark.pem")
        return [self.read(name) for name in names if (self.folder / name).exists()]

    @property
    def reissues(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.folder.glob("vek-alt-*.der"))]

    @property
    def valid_at(self) -> datetime:
        """When all certificates are in force; any time where there are none."""
        return datetime.fromisoformat(self.about.get("valid_at", _ANY_TIME))

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


def load(name: str) -> Vector:
    """Return one vector by its name."""
    folder = FOLDER / name
    return Vector(folder, json.loads((folder / "vector.json").read_bytes()))


def load_all() -> list[Vector]:
    """Return all vectors; none if the folder is absent."""
    return [load(path.parent.name) for path in sorted(FOLDER.glob("*/vector.json"))]
