"""The binaries of our Go modules, built once per content into the user's cache directory.

``dev/controlplane`` is a small Go module that links every Kubernetes component. The first build
takes about six minutes on two cores; after that nothing is built until a file there changes.
``dev/gosevguest``, which asks another verifier for its opinion, takes seconds; ``dev/helm``, which
is Helm, three minutes. What only a cluster with real nodes needs (``dev/containerd``, ``dev/node``)
is built when such a cluster is started.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from rich.console import Console

from nodeproof_dev.errors import BuildFailed
from nodeproof_dev.gocommand import Work, packages_of, run_go
from nodeproof_dev.progress import meter
from nodeproof_dev.toolchain import find_go, required_version

REPOSITORY = Path(__file__).resolve().parents[2]
GO_LOCK = REPOSITORY / "requirements" / "go.lock"

KEPT_BUILDS = 2
"""How many builds stay in the cache: this content's, and the one before it."""

_KUBERNETES = re.compile(r"^\s*k8s\.io/kubernetes v(\d+)\.(\d+)(\.\S+)$", re.MULTILINE)
_VERSION_PACKAGE = "k8s.io/component-base/version"
_HELM = re.compile(r"^require helm\.sh/helm/v4 (v\S+)$", re.MULTILINE)
_HELM_VERSION = "helm.sh/helm/v4/internal/version.version"


@dataclass(frozen=True, slots=True)
class Program:
    """A Go module, and the binaries that it becomes: one of its own name unless others are named.

    Attributes:
        source: Its folder.
        title: What progress and errors call it.
        flags: Flags of ``go build`` for the text of its go.mod.
        packages: What of it is built, in Go's words.
        others: The binaries that this makes, if not one of the module's name.
    """

    source: Path
    title: str
    flags: Callable[[str], list[str]]
    packages: tuple[str, ...] = (".",)
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of folder and cache."""
        return self.source.name

    @property
    def binaries(self) -> tuple[str, ...]:
        """Names of what it becomes."""
        return self.others or (self.name,)


@dataclass(frozen=True, slots=True)
class _Tools:
    """Where a fetched Go stays (the control plane's build, being first, keeps it)."""

    directory: Path
    fetch: bool


def cache_directory() -> Path:
    """Return where builds and fetched tools stay."""
    return Path(platformdirs.user_cache_dir("nodeproof"))


def content_hash(program: Program) -> str:
    """Return what identifies a build: SHA-256 (hex) over the module's files, flags and platform.

    The version of Go is not part of it: any Go that is new enough builds the same program.
    """
    digest = hashlib.sha256()
    flags = program.flags((program.source / "go.mod").read_text())
    for fact in (sys.platform, platform.machine(), *flags):
        digest.update(fact.encode() + b"\0")
    for path in sorted(program.source.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            name = path.relative_to(program.source)
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def controlplane_binary() -> Path:
    """Return the path of the control plane's binary, building it first if need be.

    Raises:
        BuildFailed: It cannot be built; the message holds what the compiler said.
    """
    return binary_of(CONTROL_PLANE)


def binary_of(program: Program, cache: Path | None = None, *, fetch_go: bool = True) -> Path:
    """Return the path of a program's binary of its own name, building it first if need be.

    See ``directory_of``.
    """
    return directory_of(program, cache, fetch_go=fetch_go) / program.name


def directory_of(program: Program, cache: Path | None = None, *, fetch_go: bool = True) -> Path:
    """Return the directory of a program's binaries, building them first if need be.

    Args:
        program: One of ``PROGRAMS`` or ``NODE_PROGRAMS``.
        cache: Where builds stay, if not in the user's cache directory.
        fetch_go: Fetch Go where there is none yet.

    Raises:
        GoMissing: It is not built yet, there is no Go, and none is to be fetched.
        BuildFailed: It cannot be built; the message holds what the compiler said.
    """
    cache = cache or cache_directory()
    builds = cache / program.name
    built = builds / content_hash(program)
    if not _is_complete(program, built):
        builds.mkdir(parents=True, exist_ok=True)
        with _only_builder(program, builds / "lock"):
            if not _is_complete(program, built):
                _build(program, built, _Tools(cache / CONTROL_PLANE.name, fetch_go))
    built.touch()
    return built


def _is_complete(program: Program, built: Path) -> bool:
    return all((built / name).exists() for name in program.binaries)


@contextmanager
def _only_builder(program: Program, path: Path) -> Iterator[None]:
    # Two builders would each take all cores for minutes; the second finds the first's work.
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"another build of {program.title} is under way ({path}): waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(program: Program, built: Path, tools: _Tools) -> None:
    source = program.source
    go_mod = (source / "go.mod").read_text()
    with meter(Console()) as shown:
        shown.show("looking for Go", 0, 0)
        required = required_version(go_mod)
        go = find_go(required, cache=tools.directory, lock=GO_LOCK, fetch=tools.fetch)
        run_go(go, ["mod", "download"], source, Work(shown, "downloading Go modules", 0))
        work = Work(
            shown, f"compiling {program.title}", len(packages_of(go, source, program.packages))
        )
        partial = built.with_name(f"{built.name}.partial")
        output = [*program.flags(go_mod), "-o", f"{partial}/", *program.packages]
        run_go(go, ["build", "-v", "-trimpath", *output], source, work)
    shutil.rmtree(built, ignore_errors=True)
    partial.rename(built)
    _prune(program, built.parent)


def _kubernetes_flags(go_mod: str) -> list[str]:
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


def _helm_flags(go_mod: str) -> list[str]:
    """Return the linker's flags: no symbols, and the version that Helm tells, as its releases."""
    found = _HELM.search(go_mod)
    if found is None:
        raise BuildFailed("go.mod does not name helm.sh/helm/v4")
    return ["-ldflags", f"-s -w -X {_HELM_VERSION}={found[1]}"]


def _plain_flags(_go_mod: str) -> list[str]:
    return ["-ldflags", "-s -w"]


def _prune(program: Program, builds: Path) -> None:
    kept = [path.parent for path in builds.glob(f"*/{program.binaries[0]}")]
    newest_first = sorted(kept, key=lambda path: path.stat().st_mtime, reverse=True)
    for old in newest_first[KEPT_BUILDS:]:
        shutil.rmtree(old, ignore_errors=True)


CONTROL_PLANE = Program(
    REPOSITORY / "dev" / "controlplane", "the Kubernetes control plane", _kubernetes_flags
)
"""Every Kubernetes component, and etcd."""

GO_SEV_GUEST = Program(
    REPOSITORY / "dev" / "gosevguest", "the verifier of go-sev-guest", _plain_flags
)
"""Another verifier, to compare ours with."""

HELM = Program(REPOSITORY / "dev" / "helm", "Helm", _helm_flags)
"""Helm, for rendering and installing the chart."""

PROGRAMS = (CONTROL_PLANE, GO_SEV_GUEST, HELM)
"""All that demo and tests need."""

CONTAINERD = Program(
    REPOSITORY / "dev" / "containerd",
    "containerd and the plugins of its network",
    _plain_flags,
    packages=("tool",),
    others=(
        "containerd",
        "containerd-shim-runc-v2",
        "ctr",
        "host-local",
        "loopback",
        "portmap",
        "ptp",
    ),
)
"""A container runtime, from nothing but what its go.mod names."""

NODE = Program(
    REPOSITORY / "dev" / "node",
    "kubelet, kube-proxy and CoreDNS",
    _kubernetes_flags,
    packages=("./...",),
    others=("node", "coredns", "pause", "workload"),
)
"""The rest of what runs on real nodes."""

NODE_PROGRAMS = (CONTAINERD, NODE)
"""What a cluster with real nodes needs besides."""
