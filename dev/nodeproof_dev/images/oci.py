"""What is in an OCI archive: configuration, layers, and the files that a container would see."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_WHITEOUT = ".wh."


@dataclass(frozen=True, slots=True)
class Archive:
    """One image in a file, as ``buildah push oci-archive:`` writes it."""

    path: Path

    def digest(self) -> str:
        """Return what names the image whatever file it is in: SHA-256 of its manifest."""
        return str(self._only()["digest"])

    def name(self) -> str:
        """Return the image's name and tag."""
        return str(self._only()["annotations"]["org.opencontainers.image.ref.name"])

    def configuration(self) -> dict[str, Any]:
        """Return the image's configuration (``config`` of it is what a container starts with)."""
        found: dict[str, Any] = json.loads(self._blob(self._manifest()["config"]["digest"]))
        return found

    def bytes_above(self, base: Sequence[str]) -> int:
        """Return the size, uncompressed, of the layers that are not the base's.

        Args:
            base: What the base's layers hold (``diff_ids``).
        """
        contents = self.configuration()["rootfs"]["diff_ids"]
        layers = zip(contents, self._layers(), strict=True)
        return sum(len(layer) for content, layer in layers if content not in base)

    def files(self) -> dict[str, tarfile.TarInfo]:
        """Return the files that a container sees, by path without a leading slash."""
        seen: dict[str, tarfile.TarInfo] = {}
        for layer in self._layers():
            with tarfile.open(fileobj=io.BytesIO(layer)) as content:
                for entry in content:
                    _lay(seen, entry)
        return seen

    def extract(self, target: Path) -> None:
        """Write the files that a container sees into a directory, owners included; takes root.

        It takes that no layer removes files of another; ours never do.
        """
        target.mkdir(exist_ok=True)
        unpack = ["tar", "--extract", "--same-owner", "--same-permissions", "--numeric-owner"]
        for layer in self._layers():
            subprocess.run([*unpack, f"--directory={target}"], input=layer, check=True)

    def _only(self) -> dict[str, Any]:
        with tarfile.open(self.path) as archive:
            index = json.load(_opened(archive, "index.json"))
        (only,) = index["manifests"]
        return dict(only)

    def _manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._blob(self.digest()))
        return found

    def _layers(self) -> Iterator[bytes]:
        for layer in self._manifest()["layers"]:
            blob = self._blob(layer["digest"])
            yield gzip.decompress(blob) if layer["mediaType"].endswith("gzip") else blob

    def _blob(self, digest: str) -> bytes:
        with tarfile.open(self.path) as archive:
            return _opened(archive, f"blobs/{digest.replace(':', '/')}").read()


def _opened(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    content = archive.extractfile(name)
    if content is None:
        raise ValueError(f"{name} is no file")
    return content


def _lay(seen: dict[str, tarfile.TarInfo], entry: tarfile.TarInfo) -> None:
    path = entry.name.strip("/").removeprefix("./")
    folder, _, name = path.rpartition("/")
    if not name.startswith(_WHITEOUT):
        seen[path] = entry
        return
    gone = f"{folder}/{name.removeprefix(_WHITEOUT)}".lstrip("/")
    for each in [each for each in seen if each == gone or each.startswith(f"{gone}/")]:
        del seen[each]
