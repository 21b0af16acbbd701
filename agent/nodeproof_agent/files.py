"""Small files that others replace while we run: projected tokens and CA bundles."""

from __future__ import annotations

from pathlib import Path


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the whole of a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds more than ``limit`` bytes.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path} holds more than {limit} bytes")
    return data
