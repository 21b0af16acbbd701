"""An image of a few files of this machine, as ``docker save`` would write it."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_image(archive: Path, name: str, files: Mapping[str, Path], entry_point: str) -> None:
    """Write an image of one layer.

    Args:
        archive: The file to write.
        name: The image's name and tag.
        files: What is in it, by path without a leading slash; every file is executable.
        entry_point: The path of what it runs.
    """
    layer = _tar({path: source.read_bytes() for path, source in files.items()})
    machine = platform.machine()
    configuration = _json(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": {"Entrypoint": [entry_point]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
        }
    )
    layer_path, configuration_path = f"{_digest(layer)}.tar", f"{_digest(configuration)}.json"
    manifest = [{"Config": configuration_path, "RepoTags": [name], "Layers": [layer_path]}]
    parts = {
        configuration_path: configuration,
        layer_path: layer,
        "manifest.json": _json(manifest),
    }
    archive.write_bytes(_tar(parts))


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o555
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
