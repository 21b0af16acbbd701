"""A machine as we see it: started, connected, and switched off at once."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from pathlib import Path

import msgspec

from nodeproof_dev.errors import ComponentFailed
from nodeproof_dev.process import Child, clean_environment, log_tail, python_command, wait_until
from nodeproof_dev.real.blueprint import CONNECTED, PROCESS_ID, Blueprint

_START_SECONDS = 20.0
_END_SECONDS = 30.0


class Machine:
    """One machine; what is on its disk outlives it, all else ends with it.

    Attributes:
        name: Its host name.
        directory: Its disk, and its logs.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.name = blueprint.name
        self.directory = Path(blueprint.directory)
        self._blueprint = blueprint
        self._child = Child(
            f"machine {self.name}",
            python_command("nodeproof_dev.real.launch", [str(self.directory / "blueprint.json")]),
            self.directory / "log" / "machine.log",
            clean_environment(),
        )
        self._first_process: int | None = None

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._child.running

    @property
    def pid(self) -> int:
        """The process ID, on the host, of its first process.

        Raises:
            ComponentFailed: It does not run.
        """
        if not self.running:
            raise ComponentFailed(f"machine {self.name} does not run; {self._said()}")
        return int((self.directory / PROCESS_ID).read_text())

    @property
    def root(self) -> Path:
        """Its file system, as the host sees it while it runs."""
        return Path("/proc", str(self.pid), "root")

    @property
    def enter(self) -> tuple[str, ...]:
        """What stands before a command that is to be in this machine's network."""
        return ("nsenter", f"--target={self.pid}", "--net", "--")

    def start(self) -> None:
        """Start it; its services wait for ``connected``.

        Raises:
            ComponentFailed: It cannot be started; the end of its log is in the message.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        for name in (PROCESS_ID, CONNECTED):
            (self.directory / name).unlink(missing_ok=True)
        (self.directory / "blueprint.json").write_bytes(msgspec.json.encode(self._blueprint))
        self._child.start()
        self._child.wait_ready((self.directory / PROCESS_ID).exists, seconds=_START_SECONDS)
        self._first_process = os.pidfd_open(self.pid)

    def connected(self) -> None:
        """Tell it that its network is there."""
        (self.directory / CONNECTED).touch()

    def stop(self) -> None:
        """Switch it off: everything in it is killed, and gone when this returns."""
        self._child.kill()
        if self._first_process is not None:
            _wait_for_end(self._first_process)
            os.close(self._first_process)
            self._first_process = None

    def _said(self) -> str:
        return f"the end of {self._child.log_path}:\n{log_tail(self._child.log_path)}"


def _wait_for_end(process: int) -> None:
    """Wait for a process, given by file descriptor; a machine's first one is its last to end."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    with suppress(InterruptedError):
        wait_until(lambda: bool(poll.poll(100)), seconds=_END_SECONDS, what="the end of a machine")
