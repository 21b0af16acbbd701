"""How pip reaches an index on this machine: handed to a build as mounts, never as a layer."""

from __future__ import annotations

import ast
import configparser
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PIP_SECRET = "pip"  # noqa: S105 - the ID of a mount
"""The Dockerfile mounts this as pip's settings."""

CA_SECRET = "ca"  # noqa: S105 - the ID of a mount
"""The Dockerfile mounts this where those settings look for the certificate authorities."""

CA_PATH = "/run/ca.crt"
"""Where that is, in the build's containers."""

_TAKEN = ("index-url", "extra-index-url", "trusted-host", "proxy", "retries", "timeout")
_CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def secrets(directory: Path) -> dict[str, Path]:
    """Write what a build needs of this machine's settings into a directory; return it by ID."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    settings = parse(asked.stdout)
    authority = settings.get("cert") or next(filter(None, map(os.environ.get, _CERTIFICATES)), None)
    path = directory / "pip.conf"
    path.write_text("")
    path.chmod(0o600)
    path.write_text(written(settings, has_ca=authority is not None))
    return {PIP_SECRET: path} | ({CA_SECRET: Path(authority)} if authority else {})


def parse(listed: str) -> dict[str, str]:
    """Return the settings that ``pip config list`` printed; the environment's win."""
    found: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2].removeprefix("default-")
        found[name] = str(ast.literal_eval(value))
    return found


def written(settings: Mapping[str, str], *, has_ca: bool) -> str:
    """Return pip's settings for the build: what reaches an index, and no path of this machine."""
    lines = ["[global]"]
    for name in _TAKEN:
        if name in settings:
            value = settings[name].replace("\n", "\n    ")
            lines.append(f"{name} = {value}")
    if has_ca:
        lines.append(f"cert = {CA_PATH}")
    text = "\n".join(lines) + "\n"
    configparser.RawConfigParser().read_string(text)
    return text
