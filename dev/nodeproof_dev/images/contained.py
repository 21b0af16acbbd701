"""Run one program of an image as a hardened pod would: no network, nothing writable, no rights.

Not a container runtime: namespaces, a read-only root, no capabilities, no new privileges; takes
root.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--ipc", "--uts", "--kill-child")
_SECONDS = 60
_PR_CAPBSET_DROP = 24  # linux/prctl.h
_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")


def run_contained(
    root: Path, configuration: Mapping[str, Any], arguments: Sequence[str], *, program: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program of an image in the image's environment, and return what it said.

    Args:
        root: The image's files, owned by root.
        configuration: The ``config`` of the image's configuration.
        arguments: What follows the program.
        program: The program's path in the image; its entry point if empty.
    """
    task = {
        "root": str(root),
        "user": int(str(configuration["User"]).partition(":")[0]),
        "environment": dict(each.split("=", 1) for each in configuration["Env"]),
        "command": [*([program] if program else configuration["Entrypoint"]), *arguments],
    }
    return subprocess.run(
        [*_UNSHARE, sys.executable, __file__],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )


def _main() -> None:
    task = json.load(sys.stdin)
    # Read here: the image's /proc is another one.
    capabilities = range(int(_LAST_CAPABILITY.read_text()) + 1)
    _mount(task["root"])
    os.chroot(task["root"])
    os.chdir("/")
    _give_up_rights(task["user"], capabilities)
    os.execve(task["command"][0], task["command"], task["environment"])  # noqa: S606 - no shell


def _mount(root: str) -> None:
    _do("mount", "--make-rprivate", "/")
    _do("mount", "--bind", root, root)
    _do("mount", "--types", "proc", "proc", f"{root}/proc")
    _do("mount", "--options", "remount,bind,ro", root)


def _give_up_rights(user: int, capabilities: Iterable[int]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in capabilities:
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def _do(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    _main()
