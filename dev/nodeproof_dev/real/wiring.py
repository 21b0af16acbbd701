"""The network between machines: a bridge, an interface of each, and routes to the nodes' pods."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from nodeproof_dev.errors import ComponentFailed
from nodeproof_dev.process import wait_until
from nodeproof_dev.real.addresses import PREFIX_LENGTH, Addresses
from nodeproof_dev.real.machine import Machine

_BRIDGE = "joining"
_GONE_SECONDS = 10.0


def connect_host(addresses: Addresses, middle: Machine, nodes: int) -> None:
    """Make the bridge, in a machine of its own, and join the host to it.

    The host gets an interface and routes to the pods of each node; it is asked for nothing, and no
    rule of its firewall is needed: connections begin at the host.

    Raises:
        ComponentFailed: The network cannot be made.
    """
    pods = [_route(addresses, number) for number in range(1, nodes + 1)]
    _ip((), [f"link add {addresses.interface} type veth peer name host netns {middle.pid}"])
    _ip(
        middle.enter,
        [
            "link set lo up",
            # An address of its own: else it takes that of a port, and another when that goes, and
            # nobody finds the API server until they ask anew.
            f"link add {_BRIDGE} address {_hardware(addresses, 0)} type bridge",
            f"address add {addresses.control_plane}/{PREFIX_LENGTH} dev {_BRIDGE}",
            f"address add {addresses.names}/{PREFIX_LENGTH} dev {_BRIDGE}",
            f"link set {_BRIDGE} up",
            f"link set host master {_BRIDGE} up",
            *pods,
        ],
    )
    _ip(
        (),
        [
            f"address add {addresses.host}/{PREFIX_LENGTH} dev {addresses.interface}",
            f"link set {addresses.interface} up",
            *pods,
        ],
    )


def connect_node(
    addresses: Addresses, middle: Machine, node: Machine, number: int, nodes: int
) -> None:
    """Join a node's machine to the bridge.

    Raises:
        ComponentFailed: The network cannot be made.
    """
    others = [each for each in range(1, nodes + 1) if each != number]
    # The same at each start: the others remember it.
    port, hardware = f"node{number}", _hardware(addresses, number)
    _ip(
        middle.enter,
        [
            f"link add {port} type veth peer name eth0 address {hardware} netns {node.pid}",
            f"link set {port} master {_BRIDGE} up",
        ],
    )
    _ip(
        node.enter,
        [
            "link set lo up",
            f"address add {addresses.node(number)}/{PREFIX_LENGTH} dev eth0",
            "link set eth0 up",
            *(_route(addresses, other) for other in others),
        ],
    )


def wait_disconnected(addresses: Addresses) -> None:
    """Remove the host's interface, if it did not go with the machine that had its other end."""

    def gone() -> bool:
        shown = subprocess.run(
            ["ip", "link", "delete", addresses.interface], capture_output=True, check=False
        )
        return shown.returncode != 0

    wait_until(gone, seconds=_GONE_SECONDS, what=f"interface {addresses.interface} to be gone")


def _hardware(addresses: Addresses, number: int) -> str:
    return f"02:00:00:00:{addresses.index:02x}:{number:02x}"


def _route(addresses: Addresses, number: int) -> str:
    return f"route add {addresses.pods_of(number)} via {addresses.node(number)}"


def _ip(enter: Sequence[str], commands: Sequence[str]) -> None:
    done = subprocess.run(
        [*enter, "ip", "-batch", "-"],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ComponentFailed("the cluster's network cannot be made", observed=done.stderr.strip())
