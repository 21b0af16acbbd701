"""A machine's first process: makes its root file system, starts its services, reaps what ends.

Runs in new namespaces. All modules are imported before the host's file system is left.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from nodeproof_dev.real.blueprint import DISK, PROCESS_ID, SEARCH_PATH, Blueprint, Service
from nodeproof_dev.real.supervisor import Supervisor

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc")
"""What a machine has of the host's root, read-only: programs and their settings."""

KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet sets in ``/proc/sys``, the host's, unless it finds it so."""

_TICK_SECONDS = 0.1


def main() -> None:
    """Be the machine that a blueprint's file describes; never returns."""
    os.environ["PATH"] = SEARCH_PATH
    blueprint = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Blueprint)
    _tell_process_id(Path(blueprint.directory))
    socket.sethostname(blueprint.name)
    _make_root(blueprint)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")
    _supervise(blueprint)


def _tell_process_id(directory: Path) -> None:
    # /proc is still the host's, and says who we are there.
    partial = directory / f"{PROCESS_ID}.partial"
    partial.write_text(str(Path("/proc/self").readlink()))
    partial.rename(directory / PROCESS_ID)


def _make_root(blueprint: Blueprint) -> None:
    directory = Path(blueprint.directory)
    root = directory / "root"
    root.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", "mode=0755,size=16m", "root", str(root))
    for name in SYSTEM:
        _take_over(Path("/", name), root / name)
    for bind in blueprint.binds:
        _bind_read_only(Path(bind.source), root / bind.target.lstrip("/"))
    (directory / "var").mkdir(exist_ok=True)
    for source, target in ((directory, DISK), (directory / "var", "/var"), (Path("/dev"), "/dev")):
        _bind(source, root / target.lstrip("/"))
    _mount_kernels(root)
    for name in ("run", "tmp"):
        (root / name).mkdir()
        _run("mount", "-t", "tmpfs", "-o", "mode=1777", name, str(root / name))
    _enter(root)
    _cover_settings()


def _take_over(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_dir():
        _bind_read_only(source, target)


def _bind_read_only(source: Path, target: Path) -> None:
    _bind(source, target)
    _run("mount", "-o", "remount,bind,ro", str(target))


def _bind(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _run("mount", "--rbind", str(source), str(target))


def _mount_kernels(root: Path) -> None:
    """Mount what shows this machine's processes and network, and the host's control groups."""
    for kind, name in (("proc", "proc"), ("sysfs", "sys")):
        (root / name).mkdir()
        _run("mount", "-t", kind, kind, str(root / name))
    _run("mount", "--rbind", "/sys/fs/cgroup", str(root / "sys/fs/cgroup"))


def _enter(root: Path) -> None:
    (root / "host").mkdir()
    os.chdir(root)
    _run("pivot_root", ".", "host")
    os.chdir("/")
    _run("umount", "--lazy", "/host")
    Path("/host").rmdir()
    # Volumes are mounted after containers have started, and are to be seen there.
    _run("mount", "--make-rshared", "/")


def _cover_settings() -> None:
    for name, value in KERNEL_SETTINGS.items():
        covering = Path("/run/kernel", name)
        covering.parent.mkdir(parents=True, exist_ok=True)
        covering.write_text(f"{value}\n")
        _run("mount", "--bind", str(covering), f"/proc/sys/{name}")


def _supervise(blueprint: Blueprint) -> None:
    supervisor = Supervisor(
        blueprint.services, spawn=_spawn, is_there=os.path.exists, clock=time.monotonic
    )
    while True:
        supervisor.start_due()
        for pid, status in _ended():
            if done := supervisor.ended(pid, os.waitstatus_to_exitcode(status)):
                Path(f"/run/{done.name}.done").touch()
        time.sleep(_TICK_SECONDS)


def _spawn(service: Service) -> int:
    log = Path(DISK, "log", f"{service.name}.log")
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as output:
        return os.posix_spawnp(
            service.command[0],
            service.command,
            {"PATH": SEARCH_PATH, "HOME": "/tmp"},  # noqa: S108 - the machine's own
            file_actions=[
                (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
            ],
            setpgroup=0,
        )


def _ended() -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, status))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
