"""A child process that listens on free ports of the loopback address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from nodeproof_dev.errors import PortTaken
from nodeproof_dev.ports import free_port
from nodeproof_dev.process import Child, stop_all

READY_SECONDS = 60.0
"""How long a server may take to become ready; on a quiet machine it takes one to five seconds."""

STOP_SECONDS = 10.0
"""How long a single server may take to stop; an API server with open watches takes two."""

_PORT_TRIES = 5

Ports = tuple[int, ...]
Command = Callable[[Ports], list[str]]
Question = Callable[[Ports], bool]


class Server:
    """One process: started on free ports, ready when it says so.

    Attributes:
        name: What to call it in messages and its log file.
        log_path: Where its output goes.
        ports: Where it listens; kept when it is stopped and started again.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        ready: Question,
        *,
        log_path: Path,
        environment: Mapping[str, str],
        port_count: int = 1,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self.ports: Ports = ()
        self._command = command
        self._ready = ready
        self._environment = environment
        self._port_count = port_count
        self._child: Child | None = None

    @property
    def children(self) -> list[Child]:
        """The process, if it was ever started."""
        return [self._child] if self._child else []

    @property
    def pid(self) -> int | None:
        """The process ID, if it was ever started."""
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._child is not None and self._child.running

    def launch(self) -> None:
        """Start the process without waiting, on the ports it had before if it had any."""
        self.ports = self.ports or tuple(free_port() for _ in range(self._port_count))
        command = self._command(self.ports)
        self._child = Child(self.name, command, self.log_path, self._environment)
        self._child.start()

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until the launched process is ready.

        Raises:
            ComponentFailed: It ended or did not become ready; its log's end is in the message.
        """
        for child in self.children:
            child.wait_ready(lambda: self._ready(self.ports), seconds=seconds)

    def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            ComponentFailed: It ended or did not become ready; its log's end is in the message.
        """
        settled = bool(self.ports)
        for remaining in reversed(range(_PORT_TRIES)):
            self.launch()
            try:
                self.wait_ready()
            except PortTaken:
                # Somebody was faster between our look and the server's own.
                if settled or not remaining:
                    raise
                self.ports = ()
            else:
                return

    def stop(self) -> None:
        """Stop the process; its ports stay for another start."""
        stop_all(self.children, STOP_SECONDS)

    def kill(self) -> None:
        """End the process at once (SIGKILL)."""
        for child in self.children:
            child.kill()
