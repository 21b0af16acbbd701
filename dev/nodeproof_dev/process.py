"""A child process with a log file that ends when we end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from nodeproof_dev.errors import ComponentFailed, NotReadyInTime, PortTaken

STOP_SECONDS = 5.0
"""How long a process may take to stop before it is killed."""

POLL_SECONDS = 0.05
"""Time between two questions whether something has come true."""

_TAIL_LINES = 15
_TAIL_BYTES = 16 * 1024
_PORT_TAKEN = "address already in use"


def wait_until(ask: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Ask until the answer is yes.

    Raises:
        NotReadyInTime: It was never yes.
    """
    deadline = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > deadline:
            raise NotReadyInTime(f"{what}: not within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def log_tail(path: Path) -> str:
    """Return the last lines of a log, for a message."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_TAIL_LINES:])


class Child:
    """A child process; started and stopped any number of times, its output appended to one log.

    It leads a process group of its own, so that Ctrl-C on the terminal reaches only us and we stop
    our children in order.

    Attributes:
        name: What to call it in messages.
        log_path: Where its output goes.
    """

    def __init__(
        self, name: str, command: Sequence[str], log_path: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._command = list(command)
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process ID, if it was ever started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; returns at once."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                process_group=0,
            )

    def wait_ready(self, ask: Callable[[], bool], *, seconds: float) -> None:
        """Ask until the process is ready.

        Raises:
            PortTaken: It ended since its port was taken.
            ComponentFailed: It ended, or was not ready in time.
        """
        try:
            wait_until(lambda: self._alive() and ask(), seconds=seconds, what=self.name)
        except NotReadyInTime as error:
            raise ComponentFailed(f"{error}; {self._log_excerpt()}") from error

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process is there."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask the process to end, kill it if it does not in time, and wait until it is gone."""
        stop_all([self], seconds)

    def kill(self) -> None:
        """End the process at once (SIGKILL) and wait until it is gone."""
        if self._process is None:
            return
        # The whole group: nothing that the child started may stay behind.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def ended_within(self, seconds: float) -> bool:
        """Wait for the process to end; return whether it did."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _alive(self) -> bool:
        if self.running:
            return True
        code = self._process.returncode if self._process else None
        excerpt = self._log_excerpt()
        kind = PortTaken if _PORT_TAKEN in excerpt.lower() else ComponentFailed
        raise kind(f"{self.name} ended with exit code {code}; {excerpt}")

    def _log_excerpt(self) -> str:
        return f"the end of {self.log_path}:\n{log_tail(self.log_path)}"


def stop_all(children: Iterable[Child], seconds: float = STOP_SECONDS) -> None:
    """Stop several processes at the same time, with one bound for all."""
    asked = [child for child in children if child.pid is not None]
    for child in asked:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + seconds
    for child in asked:
        if not child.ended_within(deadline - time.monotonic()):
            child.kill()


def python_command(module: str, arguments: Sequence[str]) -> list[str]:
    """Return the command of a Python module that ends when this process ends."""
    watched = [str(os.getpid()), module]
    return [sys.executable, "-m", "nodeproof_dev.tethered", *watched, *arguments]


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return our environment without what would lead a child to another cluster or proxy."""
    foreign = {"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"}
    ours = {
        name: value
        for name, value in os.environ.items()
        if name not in foreign and not name.startswith("NODEPROOF_")
    }
    return ours | {"NO_PROXY": "*", "no_proxy": "*"} | dict(extra or {})
