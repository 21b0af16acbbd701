"""The bases where no registry is in reach: Debian's Python, from Debian's mirror by debootstrap.

One root is made. As it is, it becomes the image that things are built in. What Python needs of it,
and nothing else (no shell, no package manager, no perl), becomes the image that things run on.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from nodeproof_dev.images.packages import Package, closure, files, installed
from nodeproof_dev.images.tools import run

SUITE = "bookworm"
"""Debian 12, whose Python is 3.11: the oldest that nodeproof runs on."""

BUILD_PACKAGES = ("ca-certificates", "netbase", "python3", "python3-venv", "tzdata")
"""What is installed to build in, beside debootstrap's smallest set."""

RUNTIME_PACKAGES = frozenset({"base-files", "ca-certificates", "netbase", "python3", "tzdata"})
"""What is there at run time, with all that these need."""

ONLY_TO_INSTALL = frozenset({"debconf", "dpkg", "mawk", "openssl", "perl-base", "tar"})
"""Needed by others' installation scripts alone; nothing runs them again."""

NOBODY_IDS = 65532
"""User and group of processes that need none in particular."""

_NICELY = ("nice", "-n", "10")
_COMPILE = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash")
_STANDARD_LIBRARY = "usr/lib/python3.11"
_MADE_AT_INSTALLATION = ("etc/ssl/certs/ca-certificates.crt",)
_EMPTY = {"dev": 0o755, "proc": 0o755, "sys": 0o755, "tmp": 0o1777, "run": 0o755, "root": 0o700}
_UNREAD = ("usr/share/doc/", "usr/share/man/", "usr/share/lintian/", "usr/share/bug/")
_PLAIN_MODE = 0o1777
_COPYRIGHT = "/copyright"
_ACCOUNTS = {
    "etc/passwd": f"root:x:0:0:root:/root:/sbin/nologin\n"
    f"nonroot:x:{NOBODY_IDS}:{NOBODY_IDS}:nonroot:/:/sbin/nologin\n",
    "etc/group": f"root:x:0:\nnonroot:x:{NOBODY_IDS}:\n",
}


def make_root(root: Path, log: Path) -> None:
    """Fill an empty directory with Debian and Python, from the mirror that this machine uses.

    Raises:
        BuildFailed: debootstrap cannot; the log holds all that it said.
    """
    options = ["--variant=minbase", f"--include={','.join(BUILD_PACKAGES)}"]
    command = ["debootstrap", *options, SUITE, str(root), *_mirror()]
    # What it mounts in the root ends with it, however it ends.
    run([*_NICELY, "unshare", "--mount", *command], what=f"make a base of {SUITE}", log=log)
    for leftover in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log"):
        for path in (root / leftover).rglob("*"):
            if path.is_file():
                path.unlink()
    # No times in what is compiled: else no two bases are alike, and each start compiles anew.
    python = ["chroot", str(root), "/usr/bin/python3"]
    compiling = [*_NICELY, *python, *_COMPILE, "-f", f"/{_STANDARD_LIBRARY}"]
    run(compiling, what="compile Python's standard library")


def runtime_packages(root: Path) -> tuple[Package, ...]:
    """Return the packages of a root that are there at run time."""
    return closure(installed(root), RUNTIME_PACKAGES, ONLY_TO_INSTALL)


def write_build_layer(root: Path, target: Path, epoch: int) -> None:
    """Write a whole root as a layer (tar)."""
    paths = (str(path.relative_to(root)) for path in root.rglob("*"))
    with _layer(target) as layer:
        for entry, source in _entries(layer, root, paths, epoch):
            _write(layer, entry, source)


def write_runtime_layer(root: Path, target: Path, epoch: int) -> None:
    """Write what is there at run time as a layer (tar): the same root gives the same bytes.

    Args:
        root: A root made by ``make_root``.
        target: The file to write.
        epoch: The time of every file, in seconds since 1970.
    """
    packages = runtime_packages(root)
    with _layer(target) as layer:
        for entry, source in _entries(layer, root, _runtime_paths(root, packages), epoch):
            # No other owner, and no rights that come with a file.
            entry.uid = entry.gid = 0
            entry.mode &= _PLAIN_MODE
            _write(layer, entry, source)
        for name, mode in _EMPTY.items():
            _put(layer, name, None, mode, epoch)
        for name, text in _ACCOUNTS.items():
            _put(layer, name, text, 0o644, epoch)
        # As distroless images have them: scanners find the packages without dpkg's database.
        for package in packages:
            _put(layer, f"var/lib/dpkg/status.d/{package.name}", package.stanza, 0o644, epoch)


def _mirror() -> list[str]:
    """Return the mirror that apt uses here for the suite; nothing for debootstrap's default."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {SUITE}"]
    try:
        listed = run([*asked, "Created-By: Packages", "Component: main"], what="ask apt").split()
    except OSError:
        return []
    return listed[:1]


def _layer(target: Path) -> tarfile.TarFile:
    return tarfile.open(target, "w", format=tarfile.PAX_FORMAT)


def _runtime_paths(root: Path, packages: Iterable[Package]) -> Iterator[str]:
    for package in packages:
        for path in files(root, package):
            real = _real(root, path)
            if real and _is_read(real):
                yield real
    yield from _MADE_AT_INSTALLATION
    # /bin and its like are links that belong to no package.
    yield from (path.name for path in root.iterdir() if path.is_symlink())
    compiled = (root / _STANDARD_LIBRARY).rglob("__pycache__/*.pyc")
    yield from (str(path.relative_to(root)) for path in compiled)


def _real(root: Path, path: str) -> str:
    # dpkg's /lib/… lies in /usr/lib/… since /lib became a link.
    parent = (root / path.lstrip("/")).parent.resolve()
    return str((parent / Path(path).name).relative_to(root)) if path.strip("/.") else ""


def _is_read(path: str) -> bool:
    return not path.startswith(_UNREAD) or path.endswith(_COPYRIGHT)


def _entries(
    layer: tarfile.TarFile, root: Path, paths: Iterable[str], epoch: int
) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    for path in sorted(_with_parents(paths)):
        source = root / path
        # A container's devices are the runtime's affair.
        if path.startswith("dev/") or not os.path.lexists(source):
            continue
        entry = layer.gettarinfo(source, path)
        entry.mtime, entry.uname, entry.gname = epoch, "", ""
        yield entry, source


def _write(layer: tarfile.TarFile, entry: tarfile.TarInfo, source: Path) -> None:
    if not entry.isreg():
        layer.addfile(entry)
        return
    with source.open("rb") as content:
        layer.addfile(entry, content)


def _with_parents(paths: Iterable[str]) -> set[str]:
    chosen = set(paths)
    return chosen | {str(parent) for path in chosen for parent in Path(path).parents} - {"."}


def _put(layer: tarfile.TarFile, name: str, text: str | None, mode: int, epoch: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = mode, epoch
    if text is None:
        entry.type = tarfile.DIRTYPE
    content = (text or "").encode()
    entry.size = len(content)
    layer.addfile(entry, io.BytesIO(content))
