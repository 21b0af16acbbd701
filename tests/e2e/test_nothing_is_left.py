"""Whoever starts a cluster finds the machine as it was, however the cluster ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nodeproof_dev.build import cache_directory
from nodeproof_dev.process import wait_until
from nodeproof_dev.real import reservation
from nodeproof_dev.real.boot import KERNEL_SETTINGS
from nodeproof_dev.real.cluster import RealCluster

MADE_BY_OTHERS = ("/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni", "/run/containerd")
"""What these programs make where nobody stops them."""

OWNER = """
import sys, time
from pathlib import Path
from nodeproof_dev.real.cluster import RealCluster
with RealCluster(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(600)
"""


def traces() -> dict[str, object]:
    """Return what a cluster could have changed on this machine."""
    hierarchies = Path("/sys/fs/cgroup").glob("**/nodeproof-*")
    return {
        "links": said("ip", "-brief", "link"),
        "routes": said("ip", "route", "show", "table", "all"),
        "rules": said("iptables-save"),
        "mounts": Path("/proc/self/mounts").read_text(),
        "namespaces": said("ip", "netns"),
        "cgroups": sorted(map(str, hierarchies)),
        "settings": [Path("/proc/sys", name).read_text() for name in KERNEL_SETTINGS],
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "directories": [each for each in MADE_BY_OTHERS if Path(each).exists()],
    }


def said(*command: str) -> str:
    return subprocess.run(  # noqa: S603 - the programs are named in this file
        command, capture_output=True, text=True, check=True
    ).stdout


def processes_below(directory: Path) -> list[str]:
    """Return the command lines that name a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line:
            found.append(line)
    return found


@pytest.mark.timeout(600)
def test_a_stopped_cluster_leaves_its_logs_alone(tmp_path: Path) -> None:
    before = traces()
    with RealCluster(tmp_path) as cluster:
        assert traces() != before
        assert len(cluster.nodes) == 3
    assert traces() == before
    assert processes_below(tmp_path) == []
    disks = {path.relative_to(tmp_path).parts[2] for path in tmp_path.glob("machines/*/*")}
    assert disks == {"log"}


@pytest.mark.timeout(600)
def test_the_next_start_cleans_up_after_a_killed_owner(tmp_path: Path) -> None:
    before = traces()
    owner = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner, owner.stdout:
        assert owner.stdout.readline() == "ready\n"
        os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not processes_below(tmp_path), seconds=10, what="all processes to end")
    reservation.reserve(cache_directory() / "real").give_back()
    assert traces() == before
    assert not list(tmp_path.glob("machines/*/var"))
