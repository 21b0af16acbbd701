"""The control plane's binary, built once per content into the user's cache directory.

``dev/controlplane`` is a small Go module that links every Kubernetes component. The first build
takes about six minutes on two cores; after that nothing is built until a file there changes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import platformdirs
from filelock import FileLock, Timeout
from rich.console import Console

from nodeproof_dev.errors import BuildFailed
from nodeproof_dev.progress import Meter, meter
from nodeproof_dev.toolchain import find_go, required_version

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "dev" / "controlplane"
GO_LOCK = REPOSITORY / "requirements" / "go.lock"

KEPT_BUILDS = 2
"""How many builds stay in the cache: this content's, and the one before it."""

_KUBERNETES = re.compile(r"^\s*k8s\.io/kubernetes v(\d+)\.(\d+)(\.\S+)$", re.MULTILINE)
_VERSION_PACKAGE = "k8s.io/component-base/version"
_ERROR_LINES = 20
_TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Work:
    """A stage of the build: what shows it, its name, and how many lines Go will say in it."""

    meter: Meter
    stage: str
    pieces: int


def cache_directory() -> Path:
    """Return where builds and fetched tools stay."""
    return Path(platformdirs.user_cache_dir("nodeproof")) / "controlplane"


def content_hash(source: Path) -> str:
    """Return what identifies a build: SHA-256 (hex) over the module's files, flags and platform.

    The version of Go is not part of it: any Go that is new enough builds the same control plane.
    """
    digest = hashlib.sha256()
    facts = [sys.platform, platform.machine(), *_flags((source / "go.mod").read_text())]
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    for path in sorted(source.glob("*")):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def controlplane_binary(source: Path = SOURCE, cache: Path | None = None) -> Path:
    """Return the path of the control plane's binary, building it first if need be.

    Raises:
        BuildFailed: It cannot be built; the message holds what the compiler said.
    """
    cache = cache or cache_directory()
    binary = cache / content_hash(source) / "controlplane"
    if not binary.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with _only_builder(cache / "lock"):
            if not binary.exists():
                _build(source, binary, cache)
    binary.parent.touch()
    return binary


@contextmanager
def _only_builder(path: Path) -> Iterator[None]:
    # Two builders would each take all cores for minutes; the second finds the first's work.
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another build of the control plane is under way ({path}): waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(source: Path, binary: Path, cache: Path) -> None:
    go_mod = (source / "go.mod").read_text()
    with meter(Console()) as shown:
        shown.show("looking for Go", 0, 0)
        go = find_go(required_version(go_mod), cache=cache, lock=GO_LOCK)
        _go(go, ["mod", "download"], source, _Work(shown, "downloading Go modules", 0))
        work = _Work(shown, "compiling the Kubernetes control plane", len(_packages(go, source)))
        partial = cache / f"{binary.parent.name}.partial"
        command = ["build", "-v", "-trimpath", *_flags(go_mod), "-o", str(partial), "."]
        _go(go, command, source, work)
    binary.parent.mkdir(exist_ok=True)
    partial.rename(binary)
    _prune(cache)


def _flags(go_mod: str) -> list[str]:
    """Return the linker's flags: no symbols, and the version that the components tell."""
    found = _KUBERNETES.search(go_mod)
    if found is None:
        raise BuildFailed("go.mod does not name k8s.io/kubernetes")
    version = "v" + ".".join(found.group(1, 2)) + found[3]
    facts = {"gitVersion": version, "gitMajor": found[1], "gitMinor": found[2]}
    # The components show it beside the version: say where this build comes from.
    facts["gitCommit"] = "nodeproof-dev"
    named = " ".join(f"-X {_VERSION_PACKAGE}.{name}={value}" for name, value in facts.items())
    return ["-ldflags", f"-s -w {named}"]


def _environment() -> Mapping[str, str]:
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}


def _packages(go: str, source: Path) -> list[str]:
    listed = subprocess.run(
        [go, "list", "-deps", "."],
        cwd=source,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.splitlines()


def _go(go: str, arguments: list[str], source: Path, work: _Work) -> None:
    process = subprocess.Popen(
        [go, *arguments],
        cwd=source,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    with process:
        try:
            _follow(process, lines, work)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise BuildFailed(
            f"go {arguments[0]} failed in {source}", observed="\n".join(lines[-_ERROR_LINES:])
        )


def _follow(process: subprocess.Popen[str], lines: list[str], work: _Work) -> None:
    assert process.stderr is not None  # noqa: S101 - asked for as a pipe
    # The compiler's lines come when a package is done, which may be seldom: a thread collects.
    reader = threading.Thread(target=_collect, args=(process.stderr, lines), daemon=True)
    reader.start()
    while not _ended(process):
        work.meter.show(work.stage, min(len(lines), work.pieces), work.pieces)
    reader.join()


def _ended(process: subprocess.Popen[str]) -> bool:
    try:
        process.wait(_TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _collect(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line.rstrip())  # noqa: PERF401 - the other thread counts them as they come


def _prune(cache: Path) -> None:
    builds = [path.parent for path in cache.glob("*/controlplane")]
    newest_first = sorted(builds, key=lambda path: path.stat().st_mtime, reverse=True)
    for old in newest_first[KEPT_BUILDS:]:
        shutil.rmtree(old, ignore_errors=True)
