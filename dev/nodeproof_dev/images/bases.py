"""The two images that ours are built on, made once and kept in buildah's storage."""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
from pathlib import Path

import msgspec

from nodeproof_dev.images import debian, packages
from nodeproof_dev.images.buildah import BaseImage, Buildah

EPOCH = 0
"""The time of every file in a base, in seconds since 1970: whenever it was made, it is the same."""


class Bases(msgspec.Struct, frozen=True):
    """What the Dockerfile calls BUILD_IMAGE and RUNTIME_IMAGE."""

    build: BaseImage
    runtime: BaseImage


def obtain(buildah: Buildah) -> Bases:
    """Return the bases, making them first if they are not there.

    They are not made anew when Debian publishes updates: removing the directory has that effect.

    Raises:
        BuildFailed: They cannot be made.
    """
    record = buildah.directory / f"bases-{_key()}.json"
    if record.exists():
        bases = msgspec.json.decode(record.read_bytes(), type=Bases)
        if all(buildah.has(base.reference) for base in (bases.build, bases.runtime)):
            return bases
    buildah.directory.mkdir(parents=True, exist_ok=True)
    # One pair takes 400 MB, and an older one is of no use any more.
    buildah.forget_all()
    bases = _make(buildah)
    record.write_bytes(msgspec.json.encode(bases))
    return bases


def _make(buildah: Buildah) -> Bases:
    for left_over in buildah.directory.glob("base-*"):
        shutil.rmtree(left_over)
    # Beside the storage: a root has device files, which not every /tmp may hold.
    directory = Path(tempfile.mkdtemp(dir=buildah.directory, prefix="base-"))
    try:
        root, layer = directory / "root", directory / "layer.tar"
        debian.make_root(root, buildah.directory / "debootstrap.log")
        debian.write_build_layer(root, layer, EPOCH)
        build = buildah.import_layer(f"nodeproof-build-base:{_key()}", layer, EPOCH)
        debian.write_runtime_layer(root, layer, EPOCH)
        runtime = buildah.import_layer(f"nodeproof-runtime-base:{_key()}", layer, EPOCH)
    finally:
        shutil.rmtree(directory)
    return Bases(build, runtime)


def _key() -> str:
    digest = hashlib.sha256(platform.machine().encode())
    for module in (debian, packages):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:12]
