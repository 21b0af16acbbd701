"""The ID of this boot, as the kernel gives it and the kubelet reports it."""

from __future__ import annotations

import re
from pathlib import Path

from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.files import read_bounded

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
"""A random UUID per boot (Linux, Documentation/admin-guide/sysctl/kernel.rst, ``random``)."""

_MAX_BYTES = 64
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def boot_id(path: Path = BOOT_ID_FILE) -> str:
    """Return the ID of this boot, a UUID in lower case.

    Raises:
        ProviderFailed: The kernel does not give one.
    """
    try:
        text = read_bounded(path, _MAX_BYTES).decode("ascii").removesuffix("\n")
    except (OSError, ValueError) as error:
        raise ProviderFailed(
            "the boot ID cannot be read",
            cause=Cause.INTERNAL_ERROR,
            expected=str(path),
            observed=f"{type(error).__name__}: {error}",
        ) from error
    if not _UUID.fullmatch(text):
        raise ProviderFailed(
            "the boot ID is none", cause=Cause.INTERNAL_ERROR, expected="a UUID", observed=text
        )
    return text
