"""Why a cluster with real nodes cannot run on this machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from nodeproof_dev.errors import NotPossible
from nodeproof_dev.real import cgroups

PROGRAMS = {
    "ip": "iproute2",
    "iptables": "iptables",
    "runc": "runc",
    "mount": "mount",
    "nsenter": "util-linux",
    "pivot_root": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""What has to be on PATH, and the Debian package that it is in."""

_NAMESPACES = ["unshare", "--pid", "--mount", "--net", "--uts", "--ipc", "--fork"]
_FIREWALL = "-t nat -A POSTROUTING -m mark --mark 1 -m comment --comment probe -j MASQUERADE"
_SECONDS = 20


def require(directory: Path) -> None:
    """Go on only where such a cluster can run; ``directory`` is made if it is not there.

    Raises:
        NotPossible: It cannot; the message says why.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if reason := why_not_here(directory):
        raise NotPossible(f"a cluster with real nodes cannot run here: {reason}")


def why_not_here(directory: Path | None = None) -> str:
    """Return why such a cluster cannot run here; empty if it can.

    Args:
        directory: Where the nodes' disks will be; where temporary files are, if None.
    """
    if platform.system() != "Linux":
        return "kubelets run on Linux"
    # Debian's administrator has them on PATH, another user may not.
    missing = {name: package for name, package in PROGRAMS.items() if not shutil.which(name)}
    if missing:
        packages = ", ".join(sorted(set(missing.values())))
        return f"not on PATH: {', '.join(missing)} (in Debian's packages {packages})"
    if os.geteuid() != 0:
        return "namespaces, mounts and control groups need root"
    return _namespaces() or _overlay(directory) or cgroups.why_not_here()


def _namespaces() -> str:
    if trouble := _failed([*_NAMESPACES, "true"]):
        return f"no namespaces can be made (root without CAP_SYS_ADMIN?): {trouble}"
    if trouble := _failed(["unshare", "--net", "iptables", *_FIREWALL.split()]):
        return f"iptables does not work here, of which kube-proxy makes its rules: {trouble}"
    return ""


def _overlay(directory: Path | None) -> str:
    """Return why containerd could not lay images over each other there."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="nodeproof-probe-") as probe:
        parts = {name: f"{probe}/{name}" for name in ("lower", "upper", "work", "merged")}
        for path in parts.values():
            Path(path).mkdir()
        options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, parts["merged"]]
        trouble = _failed(["unshare", "--mount", *mount])
        shutil.rmtree(parts["work"], ignore_errors=True)
    return f"no overlay can be mounted in {Path(probe).parent}: {trouble}" if trouble else ""


def _failed(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip() or f"{command[0]} failed") if done.returncode else ""
