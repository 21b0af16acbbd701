"""Commands of the operator's image that end: run as a process, with their own account's rights."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.process import clean_environment, python_command
from nodeproof_operator.cluster.objects import NAMESPACE

_SECONDS = 100.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended.

    Attributes:
        status: The exit status.
        out: What it printed, errors included.
    """

    status: int
    out: str


def start(plane: ControlPlane, command: str, *arguments: str) -> subprocess.Popen[str]:
    """Start ``nodeproof-operator COMMAND`` as the ServiceAccount ``nodeproof-COMMAND``."""
    kubeconfig = plane.service_account_kubeconfig(NAMESPACE, f"nodeproof-{command}")
    return subprocess.Popen(  # noqa: S603 - our own program
        python_command("nodeproof_operator", [command, f"--kubeconfig={kubeconfig}", *arguments]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(),
    )


def run(plane: ControlPlane, command: str, *arguments: str) -> Ran:
    """Run a command to its end."""
    return finish(start(plane, command, *arguments))


def finish(process: subprocess.Popen[str]) -> Ran:
    """Wait for the end of a command."""
    out, _ = process.communicate(timeout=_SECONDS)
    return Ran(process.returncode, out)
