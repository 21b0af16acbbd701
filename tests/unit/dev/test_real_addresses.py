"""One network of a cluster, that nothing else on the machine uses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from nodeproof_dev.real.addresses import Addresses, is_free

OURS = Addresses(201)


def test_all_addresses_lie_in_the_network() -> None:
    network = IPv4Network(OURS.network)
    named = (OURS.host, OURS.names, OURS.control_plane, OURS.node(1), OURS.node(9))
    assert all(IPv4Address(each) in network for each in named)
    assert len(set(named)) == len(named)


def test_the_ranges_do_not_meet() -> None:
    joined = IPv4Network(f"{OURS.host}/24", strict=False)
    services, pods = IPv4Network(OURS.services), IPv4Network(OURS.pods)
    assert not joined.overlaps(services)
    assert not pods.overlaps(joined)
    assert not pods.overlaps(services)


def test_each_node_has_pods_of_its_own() -> None:
    first, second = (IPv4Network(OURS.pods_of(number)) for number in (1, 2))
    assert not first.overlaps(second)
    assert first.subnet_of(IPv4Network(OURS.pods))


def test_the_interfaces_name_is_short_enough_for_the_kernel() -> None:
    assert len(OURS.interface) <= 15


@pytest.mark.parametrize(
    ("route", "free"),
    [("0.0.0.0/0", True), ("10.200.0.0/16", True), ("10.201.7.0/24", False), ("10.0.0.0/8", False)],
)
def test_a_network_is_free_if_nothing_is_reached_by_it(route: str, free: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_free(OURS, [IPv4Network(route)]) is free
