"""Agent and operator as OCI archives, built once per content into the user's cache directory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock

from nodeproof_dev.build import REPOSITORY, cache_directory
from nodeproof_dev.errors import BuildFailed, ImageToolMissing
from nodeproof_dev.images import bases, pip_settings, sbom
from nodeproof_dev.images.bases import Bases
from nodeproof_dev.images.buildah import REGISTRY, Buildah
from nodeproof_dev.images.content import Content, content_of
from nodeproof_dev.images.oci import Archive
from nodeproof_dev.images.tools import why_not_here

BUDGETS: Mapping[str, int] = {"agent": 90_000_000, "operator": 160_000_000}
"""Largest size of each image above its base, uncompressed, in bytes."""

ENVIRONMENT = "opt/nodeproof"
"""Where an image has its Python environment."""

KEPT_BUILDS = 2
"""How many builds stay in the cache: this content's, and the one before it."""

_RECORD = "images.json"
_KEY_CHARACTERS = 64


class Image(msgspec.Struct, frozen=True):
    """What was built for one target.

    Attributes:
        reference: Its name and version, as the manifests name it.
        digest: SHA-256 of its manifest: the same content has the same.
        bytes_above_base: Its size above its base, uncompressed.
        bytes_base: The size of its base, uncompressed.
    """

    reference: str
    digest: str
    bytes_above_base: int
    bytes_base: int


@dataclass(frozen=True, slots=True)
class Images:
    """A build: its directory, and what is in there."""

    directory: Path
    built: Mapping[str, Image]
    """By target."""

    def archive(self, target: str) -> Archive:
        """Return the image itself, an OCI archive."""
        return Archive(self.directory / f"nodeproof-{target}.oci.tar")

    def bill(self, target: str) -> Path:
        """Return the file of its bill of materials, CycloneDX in JSON."""
        return self.directory / f"nodeproof-{target}.cdx.json"


def obtain(repository: Path = REPOSITORY, cache: Path | None = None) -> Images:
    """Return the images of this source tree, building them first if need be.

    Args:
        repository: The source tree.
        cache: Where builds stay, if not in the user's cache directory.

    Raises:
        ImageToolMissing: Images cannot be built on this machine; the message says why.
        BuildFailed: Building failed, or an image is larger than it may be.
    """
    cache = (cache or cache_directory()) / "images"
    buildah = Buildah(cache / "buildah")
    cache.mkdir(parents=True, exist_ok=True)
    if reason := why_not_here():
        raise ImageToolMissing(f"images cannot be built: {reason}")
    with FileLock(cache / "lock"):
        ground, content = bases.obtain(buildah), content_of(repository)
        directory = cache / content.key(ground.build.reference, ground.runtime.reference, REGISTRY)
        if not (directory / _RECORD).exists():
            _build_all(repository, directory, buildah, (ground, content))
        directory.touch()
        _prune(cache)
    record = (directory / _RECORD).read_bytes()
    return Images(directory, msgspec.json.decode(record, type=dict[str, Image]))


def _build_all(
    repository: Path, directory: Path, buildah: Buildah, of: tuple[Bases, Content]
) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    built = {}
    for target in BUDGETS:
        image = built[target] = _build(repository, directory, buildah, target, of)
        if image.bytes_above_base > BUDGETS[target]:
            raise BuildFailed(
                f"the {target}'s image is larger than it may be above its base",
                expected=f"at most {BUDGETS[target]} bytes",
                observed=str(image.bytes_above_base),
            )
    (directory / _RECORD).write_bytes(msgspec.json.encode(built))


def _build(
    repository: Path, directory: Path, buildah: Buildah, target: str, of: tuple[Bases, Content]
) -> Image:
    ground, content = of
    name = f"nodeproof-{target}:{content.version}"
    archive = Archive(directory / f"nodeproof-{target}.oci.tar")
    with tempfile.TemporaryDirectory() as scratch:
        buildah.build(
            repository,
            target,
            archive.path,
            name=name,
            arguments=_arguments(ground, content),
            secrets=pip_settings.secrets(Path(scratch)),
        )
        root = Path(scratch) / "root"
        archive.extract(root)
        bill = _bill(root, target, content)
    (directory / f"nodeproof-{target}.cdx.json").write_text(bill)
    above = archive.bytes_above(ground.runtime.layers)
    return Image(name, archive.digest(), above, archive.bytes_above(()) - above)


def _arguments(ground: Bases, content: Content) -> dict[str, str]:
    return {
        "BUILD_IMAGE": ground.build.reference,
        "RUNTIME_IMAGE": ground.runtime.reference,
        "SOURCE_DATE_EPOCH": str(content.epoch),
        "VERSION": content.version,
        "REVISION": content.revision,
        "CREATED": content.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _bill(root: Path, target: str, content: Content) -> str:
    (packages,) = (root / ENVIRONMENT).glob("lib/python*/site-packages")
    return sbom.of_image(
        root,
        packages,
        name=f"nodeproof-{target}",
        version=content.version,
        created=content.created,
    )


def _prune(cache: Path) -> None:
    # Those that failed as well: they stay only for their logs.
    builds = [path for path in cache.iterdir() if len(path.name) == _KEY_CHARACTERS]
    newest_first = sorted(builds, key=lambda path: path.stat().st_mtime, reverse=True)
    for old in newest_first[KEPT_BUILDS:]:
        shutil.rmtree(old, ignore_errors=True)
