"""Servers find their ports, and find others when somebody was faster."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodeproof_dev import server
from nodeproof_dev.errors import PortTaken
from nodeproof_dev.ports import LOOPBACK, free_port
from nodeproof_dev.process import clean_environment
from nodeproof_dev.server import Ports, Server

LISTEN = f"""
import socket, sys
with socket.create_server(({LOOPBACK!r}, int(sys.argv[1]))) as listening:
    while True:
        listening.accept()[0].close()
"""


def accepts(ports: Ports) -> bool:
    try:
        with socket.create_connection((LOOPBACK, ports[0]), timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Server]:
    listening = Server(
        "a listener",
        lambda ports: [sys.executable, "-c", LISTEN, str(ports[0])],
        accepts,
        log_path=tmp_path / "listener.log",
        environment=clean_environment(),
    )
    yield listening
    listening.kill()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody holds without listening on it."""
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        yield holder.getsockname()[1]


def test_a_server_is_ready_after_its_start(listener: Server) -> None:
    listener.start()
    assert accepts(listener.ports)


def test_a_server_keeps_its_port_over_a_stop(listener: Server) -> None:
    listener.start()
    before = listener.ports
    listener.stop()
    listener.start()
    assert listener.ports == before


def test_a_server_whose_port_was_taken_gets_another(
    listener: Server, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = iter([taken, free_port()])
    monkeypatch.setattr(server, "free_port", lambda: next(offers))
    listener.start()
    assert listener.ports != (taken,)


def test_a_server_that_had_its_port_does_not_move(listener: Server, taken: int) -> None:
    listener.ports = (taken,)
    with pytest.raises(PortTaken):
        listener.start()


def test_a_server_that_was_killed_does_not_run(listener: Server) -> None:
    listener.start()
    listener.kill()
    assert not listener.running
