"""buildah with a storage of our own: the machine's own images and containers stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeproof_dev.images.tools import run

REGISTRY = "docker.io/library"
"""What container runtimes put before a name without a registry: an image that was loaded by file is
found only by its whole name."""


@dataclass(frozen=True, slots=True)
class BaseImage:
    """An image to build on.

    Attributes:
        reference: Its name, by digest.
        layers: What its layers hold: SHA-256 of each uncompressed, as ``sha256:…``.
    """

    reference: str
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Buildah:
    """Builds images within one directory, which holds all that it keeps."""

    directory: Path

    def import_layer(self, name: str, layer: Path, epoch: int) -> BaseImage:
        """Make an image of one layer (tar) and return it.

        Raises:
            BuildFailed: buildah cannot; as for every method here.
        """
        container = self._run("from", "scratch").strip()
        try:
            self._run("add", "--quiet", container, str(layer), "/")
            self._run("commit", "--quiet", "--timestamp", str(epoch), container, name)
        finally:
            self._run("rm", container)
        told = json.loads(self._run("inspect", "--type", "image", name))
        layers = told["OCIv1"]["rootfs"]["diff_ids"]
        untagged = name.partition(":")[0]
        return BaseImage(f"localhost/{untagged}@{told['FromImageDigest']}", tuple(layers))

    def forget_all(self) -> None:
        """Remove all that is in the storage."""
        self._run("rmi", "--all", "--force")

    def has(self, reference: str) -> bool:
        """Whether an image is in the storage."""
        listed = self._run("images", "--digests", "--format", "{{.Name}}@{{.Digest}}")
        return reference in listed.split()

    def build(
        self,
        context: Path,
        target: str,
        archive: Path,
        *,
        name: str,
        arguments: Mapping[str, str],
        secrets: Mapping[str, Path],
    ) -> None:
        """Build one target of a folder's Dockerfile into an OCI archive.

        Args:
            context: The folder.
            target: The stage to end with.
            archive: The file to write.
            name: The image's name and tag; in the archive, ``REGISTRY`` comes before it.
            arguments: The values of the Dockerfile's ARGs; SOURCE_DATE_EPOCH is every file's time.
            secrets: Files to mount while building, by ID.
        """
        options = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        options += [f"--secret=id={key},src={path}" for key, path in secrets.items()]
        options += [f"--timestamp={arguments['SOURCE_DATE_EPOCH']}", f"--target={target}"]
        options += ["--isolation=chroot", "--network=host", "--pull-never", "--format=oci"]
        self._run("bud", *options, f"--tag={name}", str(context), log=archive.with_suffix(".log"))
        self._run(
            "push", "--quiet", f"localhost/{name}", f"oci-archive:{archive}:{REGISTRY}/{name}"
        )
        # What was built lives on in the archive alone; the bases stay for the next time.
        self._run("rmi", f"localhost/{name}")

    def _run(self, command: str, *arguments: str, log: Path | None = None) -> str:
        roots = [f"--root={self.directory / 'storage'}", f"--runroot={self.directory / 'run'}"]
        what = f"use buildah ({command})"
        # Niced: whoever builds images does something else meanwhile.
        whole: Sequence[str] = ["nice", "-n", "10", "buildah", *roots, command, *arguments]
        return run(whole, what=what, log=log)
