"""The control groups under which a node's kubelet makes those of its pods; versions 1 and 2."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from nodeproof_dev.errors import NotReadyInTime
from nodeproof_dev.process import wait_until

MOUNT = Path("/sys/fs/cgroup")

NEEDED = frozenset({"cpu", "cpuset", "memory", "pids"})
"""Controllers without which a kubelet does not start."""

_CONTROLLERS = "cgroup.controllers"
_PROCESSES = "cgroup.procs"
_SUBTREE = "cgroup.subtree_control"
_INHERITED = ("cpuset.cpus", "cpuset.mems")
_GONE_SECONDS = 10.0


def is_unified(mount: Path = MOUNT) -> bool:
    """Whether this is version 2 alone."""
    return (mount / _CONTROLLERS).exists()


def controllers(mount: Path = MOUNT) -> set[str]:
    """Return the controllers that can be used."""
    if is_unified(mount):
        return set((mount / _CONTROLLERS).read_text().split())
    # Of version 1 a controller is a directory; where several share one they have links to it.
    return {each.name for each in mount.iterdir() if (each / _PROCESSES).exists()}


def make(name: str, mount: Path = MOUNT) -> None:
    """Make a group, and its parents, in every hierarchy.

    Args:
        name: Its path below each hierarchy's root.
        mount: Where the hierarchies are mounted.

    Raises:
        OSError: The machine does not let us.
    """
    for root in _hierarchies(mount):
        parent = root
        for part in Path(name).parts:
            _pass_on(parent)
            group = parent / part
            group.mkdir(exist_ok=True)
            _inherit(parent, group)
            parent = group
        _pass_on(parent)


def remove(name: str, mount: Path = MOUNT) -> None:
    """Remove a group and all below it, once the processes in it are gone.

    Raises:
        NotReadyInTime: Processes stay in it.
    """
    tops = [root / name for root in _hierarchies(mount)]

    def gone() -> bool:
        for top in tops:
            _remove(top)
        return not any(top.exists() for top in tops)

    wait_until(gone, seconds=_GONE_SECONDS, what=f"control groups {name} to be empty")


def why_not_here(mount: Path = MOUNT) -> str:
    """Return why kubelets cannot work with the groups of this machine; empty if they can."""
    try:
        missing = NEEDED - controllers(mount)
    except OSError as error:
        return f"no control groups are mounted at {mount}: {error}"
    if missing:
        return f"control groups lack the controllers {', '.join(sorted(missing))} ({mount})"
    probe = f"nodeproof-probe-{os.getpid()}"
    try:
        make(probe, mount)
        remove(probe, mount)
    except (OSError, NotReadyInTime) as error:
        return f"control groups cannot be made below {mount}: {error}"
    return ""


def _hierarchies(mount: Path) -> list[Path]:
    if is_unified(mount):
        return [mount]
    found = (each for each in mount.iterdir() if not each.is_symlink())
    return sorted(each for each in found if (each / _PROCESSES).exists())


def _pass_on(group: Path) -> None:
    """Let the groups below one of version 2 have its controllers."""
    if not (group / _SUBTREE).exists():
        return
    wanted = set((group / _CONTROLLERS).read_text().split())
    missing = wanted - set((group / _SUBTREE).read_text().split())
    for controller in sorted(missing):
        # Not every one can be passed on everywhere; a kubelet says which of them it misses.
        with suppress(OSError):
            (group / _SUBTREE).write_text(f"+{controller}")


def _inherit(parent: Path, group: Path) -> None:
    """Give a group of version 1 its parent's processors: it is made without any."""
    for name in _INHERITED:
        if (group / _CONTROLLERS).exists() or not (group / name).exists():
            continue
        if not (group / name).read_text().strip():
            (group / name).write_text((parent / name).read_text())


def _remove(top: Path) -> None:
    for path, _, _ in os.walk(top, topdown=False):
        # Busy for a moment after its last process has ended.
        with suppress(OSError):
            Path(path).rmdir()
