"""Free TCP ports on the loopback address."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path

LOOPBACK = "127.0.0.1"

_LOWEST = 10_000
_DEFAULT_EPHEMERAL = 32_768
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 200

_handed_out: set[int] = set()
_lock = threading.Lock()


def free_port() -> int:
    """Return a port that nobody listens on, and that this process has not handed out before.

    It lies below the range from which the kernel takes ports for outgoing connections: a server
    that is stopped and started again finds its port free, and no client that keeps on trying
    meanwhile can be connected to itself. Another process may still be faster; who listens retries.

    Raises:
        OSError: No port is free.
    """
    with _lock:
        for _ in range(_TRIES):
            port = random.randrange(_LOWEST, _highest())  # noqa: S311 - not a secret
            if port not in _handed_out and _is_free(port):
                _handed_out.add(port)
                return port
    raise OSError("no free port was found on the loopback address")


def _highest() -> int:
    try:
        lowest_ephemeral = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _DEFAULT_EPHEMERAL
    return lowest_ephemeral if lowest_ephemeral > _LOWEST + _TRIES else _DEFAULT_EPHEMERAL


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
