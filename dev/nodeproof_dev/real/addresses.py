"""Which addresses a cluster has: one /16 of the private range for all of it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network

INDEXES = range(201, 250)
"""The second bytes among which a cluster's network 10.N.0.0/16 is chosen."""

PREFIX_LENGTH = 24
"""Of the network that joins the machines, of the Services' range, and of a node's pods."""

_FIRST_NODE = 11
_FIRST_PODS = 17
_PODS_PREFIX_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one cluster.

    Attributes:
        index: What tells it from others: the second byte of all its addresses.
    """

    index: int

    @property
    def interface(self) -> str:
        """The one network interface on the host."""
        return f"nodeproof{self.index}"

    @property
    def network(self) -> str:
        """All of it."""
        return f"10.{self.index}.0.0/16"

    @property
    def host(self) -> str:
        """The host's."""
        return self._joined(1)

    @property
    def names(self) -> str:
        """The DNS server's."""
        return self._joined(53)

    @property
    def control_plane(self) -> str:
        """The API server's."""
        return self._joined(254)

    @property
    def services(self) -> str:
        """The range of ClusterIPs."""
        return f"10.{self.index}.1.0/{PREFIX_LENGTH}"

    @property
    def pods(self) -> str:
        """The range of all nodes' pods."""
        return f"10.{self.index}.16.0/{_PODS_PREFIX_LENGTH}"

    def node(self, number: int) -> str:
        """Return a node's own; numbers begin with 1."""
        return self._joined(_FIRST_NODE + number - 1)

    def pods_of(self, number: int) -> str:
        """Return the range of one node's pods."""
        return f"10.{self.index}.{_FIRST_PODS + number - 1}.0/{PREFIX_LENGTH}"

    def _joined(self, last: int) -> str:
        return f"10.{self.index}.0.{last}"


def is_free(addresses: Addresses, routes: Iterable[IPv4Network]) -> bool:
    """Whether the host reaches nothing yet by these addresses (the default route aside)."""
    own = ipaddress.IPv4Network(addresses.network)
    return not any(own.overlaps(route) for route in routes if route.prefixlen)


def host_routes() -> list[IPv4Network]:
    """Return where the host has routes to."""
    listed = subprocess.run(
        ["ip", "-4", "-json", "route", "show", "table", "all"],
        capture_output=True,
        text=True,
        check=True,
    )
    destinations = (route["dst"] for route in json.loads(listed.stdout or "[]"))
    return [ipaddress.IPv4Network(each) for each in destinations if each != "default"]
