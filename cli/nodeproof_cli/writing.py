"""Certificates and lists into a folder, under names that tell what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from nodeproof.sevsnp.collateral import CRL, classify

_DIGITS = 16


def write_each(directory: Path, verified: Iterable[bytes]) -> None:
    """Write verified certificates and lists (DER) into a folder, which is made if need be.

    Raises:
        OSError: The folder or a file in it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for der in verified:
        for item in classify(der):
            digits = hashlib.sha256(der).hexdigest()[:_DIGITS]
            suffix = "crl" if item.kind == CRL else "der"
            name = f"{item.product}-{item.kind}-{digits}.{suffix}".lower()
            (directory / name).write_bytes(der)
