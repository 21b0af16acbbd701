"""The programs that building images takes, and why they cannot be used here."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from nodeproof_dev.errors import BuildFailed

PROGRAMS = ("buildah", "debootstrap", "unshare")
"""What has to be on PATH; Debian's packages are buildah, debootstrap and util-linux."""

_LAST_CHARACTERS = 1500


def why_not_here() -> str:
    """Return why images cannot be built on this machine; empty if they can."""
    if platform.system() != "Linux":
        return "images are built on Linux"
    # Debian's administrator has them on PATH, another user may not.
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"not on PATH: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "debootstrap and buildah's chroot isolation need root"
    return ""


def run(
    command: Sequence[str],
    *,
    what: str,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> str:
    """Run a program to its end and return what it printed.

    Args:
        command: The program and its arguments.
        what: What it does, for the message when it fails.
        environment: Its environment, if not ours.
        log: Where to keep everything it said.

    Raises:
        BuildFailed: It failed; the message holds the end of what it said.
    """
    done = subprocess.run(
        list(command), capture_output=True, text=True, check=False, env=environment
    )
    if log is not None:
        log.write_text(done.stdout + done.stderr)
    if done.returncode:
        said = (done.stdout + done.stderr)[-_LAST_CHARACTERS:].strip()
        raise BuildFailed(f"cannot {what}: {command[0]} failed", observed=said)
    return done.stdout
