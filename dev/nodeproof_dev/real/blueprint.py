"""What a machine is made of, as we write it down for its first process."""

from __future__ import annotations

import msgspec

DISK = "/node"
"""Where a machine sees its own directory: settings in ``etc``, logs in ``log``."""

CONNECTED = "network"
"""The file in its directory that says: the machine's network is there."""

PROCESS_ID = "pid"
"""The file in its directory with the process ID, on the host, of the machine's first process."""

PROGRAMS = "/opt/nodeproof"
"""Where a machine sees the programs that it is given."""

SEARCH_PATH = ":".join(
    [f"{PROGRAMS}/{each}" for each in ("node", "containerd", "runtime")]
    + ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
)


class Service(msgspec.Struct, frozen=True):
    """A program that a machine keeps running.

    Attributes:
        name: What to call it and its log.
        command: Its command line.
        needs: Paths that have to be there before it is started.
        once: It is repeated only until it succeeds; then ``/run/NAME.done`` is there.
    """

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = (f"{DISK}/{CONNECTED}",)
    once: bool = False


class Bind(msgspec.Struct, frozen=True):
    """A file or directory of the host that a machine sees, and cannot write.

    Attributes:
        source: Its path on the host.
        target: Its path in the machine.
    """

    source: str
    target: str


class Blueprint(msgspec.Struct, frozen=True):
    """A whole machine.

    Attributes:
        name: Its host name.
        directory: Its directory on the host.
        services: What it runs.
        binds: What it sees of the host besides the system's own programs.
    """

    name: str
    directory: str
    services: tuple[Service, ...]
    binds: tuple[Bind, ...] = ()
