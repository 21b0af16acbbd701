"""What an image is made of in this tree, and which version of the tree that is."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_CONTEXT = ("Dockerfile", ".dockerignore")


@dataclass(frozen=True, slots=True)
class Content:
    """The files that images are built from.

    Attributes:
        digest: SHA-256 (hex) over their paths and bytes.
        version: nodeproof's version.
        revision: The last commit that changed any of them; ``unknown`` without git, and marked
            ``-modified`` if what is here was not committed.
        epoch: The time of that commit in seconds since 1970, or SOURCE_DATE_EPOCH.
    """

    digest: str
    version: str
    revision: str
    epoch: int

    @property
    def created(self) -> datetime:
        """The time that images tell as their own."""
        return datetime.fromtimestamp(self.epoch, UTC)

    def key(self, *further: str) -> str:
        """Return what identifies a build of this content with further facts: SHA-256 (hex)."""
        facts = [self.digest, self.version, self.revision, str(self.epoch), *further]
        return hashlib.sha256("\0".join(facts).encode()).hexdigest()


def content_of(repository: Path) -> Content:
    """Return what the images of a source tree are made of."""
    digest = hashlib.sha256()
    for path in sorted(context_files(repository)):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(repository)}\0{len(data)}\0".encode() + data)
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    revision, epoch = _last_commit(repository)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", epoch))
    return Content(digest.hexdigest(), project["version"], revision, epoch)


def context_paths(repository: Path) -> list[str]:
    """Return what .dockerignore lets in, and the two files that say how to build it."""
    lines = (repository / ".dockerignore").read_text().splitlines()
    return [*_CONTEXT, *(line[1:] for line in lines if line.startswith("!"))]


def context_files(repository: Path) -> Iterator[Path]:
    """Yield the files below those paths, without compiled ones."""
    for name in context_paths(repository):
        path = repository / name
        below = path.rglob("*") if path.is_dir() else [path]
        yield from (each for each in below if each.is_file() and each.suffix != ".pyc")


def _last_commit(repository: Path) -> tuple[str, int]:
    paths = ["--", *context_paths(repository)]
    told = _git(repository, "log", "-1", "--format=%H %ct", *paths).split()
    if not told:
        return "unknown", 0
    modified = _git(repository, "status", "--porcelain", *paths)
    return told[0] + ("-modified" if modified else ""), int(told[1])


def _git(repository: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
