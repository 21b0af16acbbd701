"""The real agent's process, run for its pod as a kubelet runs a container."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from nodeproof_dev.interfaces import Interface
from nodeproof_dev.ports import LOOPBACK, free_port
from nodeproof_dev.process import Child, clean_environment, python_command
from nodeproof_dev.volumes import AgentVolumes

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
"""Time before an agent that ended is started again; doubled each time, as kubelets do."""

STOP_SECONDS = 5.0
"""The grace period of the agent's pod."""


class AgentProcess:
    """One agent, restarted when it ends.

    Attributes:
        metrics_url: Where it serves metrics and health; another port after each start.
        log_path: Where its output goes, over all starts.
        start_time: When it was last started.
    """

    def __init__(
        self,
        interface: Interface,
        volumes: AgentVolumes,
        log_path: Path,
        clock: Callable[[], float],
    ) -> None:
        self.metrics_url = ""
        self.log_path = log_path
        self.start_time: datetime | None = None
        self._interface = interface
        self._volumes = volumes
        self._clock = clock
        self._child: Child | None = None
        self._starts = 0
        self._not_before = 0.0

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int | None:
        """The process ID, if it was ever started."""
        return self._child.pid if self._child else None

    @property
    def children(self) -> list[Child]:
        """The process, if it was ever started."""
        return [self._child] if self._child else []

    def ensure_running(self, operator_url: str) -> None:
        """Start the agent if it does not run and its backoff is over."""
        if self.running or self._clock() < self._not_before:
            return
        backoff = FIRST_BACKOFF_SECONDS * 2 ** min(self._starts, 10)
        self._not_before = self._clock() + min(backoff, MAX_BACKOFF_SECONDS)
        self._starts += 1
        address = f"{LOOPBACK}:{free_port()}"
        self.metrics_url = f"http://{address}"
        command = python_command("nodeproof_agent", self._arguments(operator_url, address))
        environment = clean_environment(self._interface.environment)
        self._child = Child("nodeproof-agent", command, self.log_path, environment)
        self.start_time = datetime.now(UTC)
        self._child.start()

    def attest_now(self) -> None:
        """Ask the agent to attest now (SIGHUP)."""
        if self._child is not None:
            self._child.signal(signal.SIGHUP)

    def stop(self) -> None:
        """Stop the agent; the next start is not held back."""
        if self._child is not None:
            self._child.stop(STOP_SECONDS)
        self._starts, self._not_before = 0, 0.0

    def twin(self, log_path: Path) -> AgentProcess:
        """Return one more agent of the same pod on the same machine, not started."""
        return AgentProcess(self._interface, self._volumes, log_path, self._clock)

    def _arguments(self, operator_url: str, metrics_address: str) -> list[str]:
        return [
            f"--operator-url={operator_url}",
            f"--token-file={self._volumes.token_file}",
            f"--ca-file={self._volumes.ca_file}",
            *self._interface.arguments,
            f"--metrics-address={metrics_address}",
            "--log-format=json",
        ]
