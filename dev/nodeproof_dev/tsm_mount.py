"""Mounts the simulated configfs-tsm for as long as a test or a demonstration needs it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from ctypes.util import find_library
from pathlib import Path
from typing import Self

import msgspec

from nodeproof_dev.errors import ComponentFailed, NotPossible
from nodeproof_dev.process import Child, clean_environment, log_tail, python_command
from nodeproof_dev.tsm_model import FAULTS_XATTR, REPORTS_XATTR, Faults

FUSE_DEVICE = Path("/dev/fuse")

_READY_SECONDS = 20.0


def missing() -> str:
    """Return what keeps this machine from mounting it; empty if nothing does."""
    if not FUSE_DEVICE.exists():
        return f"{FUSE_DEVICE} is missing"
    if not os.access(FUSE_DEVICE, os.R_OK | os.W_OK):
        return f"{FUSE_DEVICE} may not be used"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is not installed (Debian: fuse3)"
    if find_library("fuse3") is None:
        return "libfuse3 is not installed (Debian: fuse3)"
    if importlib.util.find_spec("mfusepy") is None:
        return "mfusepy is not installed (PyPI)"
    return ""


class TsmMount:
    """A mounted ``tsm/report``; a context manager.

    Attributes:
        root: The mount point, what ``--tsm-root`` takes.
    """

    def __init__(self, machine: Path, root: Path) -> None:
        """Serve reports of a machine.

        Args:
            machine: A simulated machine's directory.
            root: Where to mount; made if it does not exist. The log is written beside it.
        """
        self.root = root
        arguments = [str(machine), str(root)]
        self._child = Child(
            "tsm-fuse",
            python_command("nodeproof_dev.tsm_fuse", arguments),
            root.with_suffix(".log"),
            clean_environment(),
        )

    def __enter__(self) -> Self:
        """Mount.

        Raises:
            NotPossible: This machine does not allow it.
            ComponentFailed: The process ended or did not become ready.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self._child.start()
        try:
            self._child.wait_ready(self.root.is_mount, seconds=_READY_SECONDS)
        except ComponentFailed as error:
            self.__exit__()
            if "Operation not permitted" in log_tail(self._child.log_path):
                raise NotPossible(f"FUSE may not be mounted here; {error.message}") from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of who hangs, and unmount."""
        if self._child.running and self.root.is_mount():
            self.faults = Faults()
        self._child.stop()
        subprocess.run(
            ["fusermount3", "-u", "-z", "-q", str(self.root)], check=False, capture_output=True
        )

    @property
    def faults(self) -> Faults:
        """What is wrong now; counters count down."""
        return msgspec.json.decode(os.getxattr(self.root, FAULTS_XATTR), type=Faults)

    @faults.setter
    def faults(self, faults: Faults) -> None:
        os.setxattr(self.root, FAULTS_XATTR, msgspec.json.encode(faults))

    @property
    def reports(self) -> int:
        """How many requests reached the firmware."""
        return int(os.getxattr(self.root, REPORTS_XATTR))
