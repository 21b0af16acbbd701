"""Files of the simulated platform: replaced as a whole, keys for their owner alone."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import mkstemp

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_PUBLIC = 0o644


def write_key(path: Path, key: PrivateKeyTypes) -> None:
    """Write a private key as PEM that only its owner may read (mode 0600)."""
    _replace(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), None)


def write_public(path: Path, data: bytes) -> None:
    """Write what everybody may read (mode 0644)."""
    _replace(path, data, _PUBLIC)


def read_key(path: Path) -> PrivateKeyTypes:
    """Return the private key in a PEM file."""
    return load_pem_private_key(path.read_bytes(), password=None)


def _replace(path: Path, data: bytes, mode: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp gives mode 0600; the name changes in one step, so a reader sees old or new.
    descriptor, temporary = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(descriptor, mode)
        Path(temporary).replace(path)
    except BaseException:  # whatever stops us, Ctrl-C included, leaves no half-written file
        Path(temporary).unlink(missing_ok=True)
        raise
