from __future__ import annotations

import socket

from nodeproof_dev import ports


def test_a_free_port_can_be_listened_on() -> None:
    with socket.create_server((ports.LOOPBACK, ports.free_port())) as server:
        assert server.getsockname()[1] < ports._highest()


def test_no_port_is_handed_out_twice() -> None:
    found = [ports.free_port() for _ in range(20)]
    assert len(set(found)) == len(found)


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        assert not ports._is_free(server.getsockname()[1])
