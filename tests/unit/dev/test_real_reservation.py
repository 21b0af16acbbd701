"""Clusters do not share a network, and clean up after each other."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from nodeproof_dev.errors import NotPossible
from nodeproof_dev.real import cgroups, wiring
from nodeproof_dev.real.reservation import Reservation, reserve


def no_routes() -> list[IPv4Network]:
    return []


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets nothing of the machine be touched; collects what would have been removed."""
    found: list[str] = []
    monkeypatch.setattr(cgroups, "remove", found.append)
    monkeypatch.setattr(
        wiring, "wait_disconnected", lambda addresses: found.append(addresses.interface)
    )
    return found


@pytest.fixture
def reservation(tmp_path: Path, removed: list[str]) -> Iterator[Reservation]:
    made = reserve(tmp_path / "state", no_routes)
    removed.clear()
    yield made
    made.give_back()


@pytest.fixture
def machines(tmp_path: Path) -> Path:
    """The disk of one machine, with a log."""
    directory = tmp_path / "machines"
    for name in ("var", "log"):
        (directory / "node-1" / name).mkdir(parents=True)
        (directory / "node-1" / name / "content").touch()
    (directory / "node-1" / "pid").touch()
    return directory


def test_two_clusters_have_two_networks(tmp_path: Path, reservation: Reservation) -> None:
    other = reserve(tmp_path / "state", no_routes)
    assert other.addresses != reservation.addresses
    assert other.cgroup != reservation.cgroup
    other.give_back()


def test_a_network_that_the_host_uses_is_left_alone(tmp_path: Path, removed: list[str]) -> None:
    given = reserve(tmp_path, lambda: [IPv4Network("10.201.0.0/16")])
    assert given.addresses.index == 202
    given.give_back()
    assert "nodeproof201" not in removed


def test_no_network_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match=r"10\.201"):
        reserve(tmp_path, lambda: [IPv4Network("10.0.0.0/8")])


def test_what_was_made_is_removed_but_the_logs(
    reservation: Reservation, machines: Path, removed: list[str]
) -> None:
    reservation.record(machines)
    reservation.give_back()
    assert removed == [reservation.addresses.interface, reservation.cgroup]
    assert [path.name for path in (machines / "node-1").iterdir()] == ["log"]


def test_a_living_clusters_things_stay(
    tmp_path: Path, reservation: Reservation, machines: Path, removed: list[str]
) -> None:
    reservation.record(machines)
    reserve(tmp_path / "state", no_routes).give_back()
    assert reservation.cgroup not in removed
    assert (machines / "node-1" / "var").exists()


def test_a_dead_clusters_things_are_removed(
    tmp_path: Path, reservation: Reservation, machines: Path, removed: list[str]
) -> None:
    reservation.record(machines)
    reservation._lock.release()  # as the kernel does when its owner ends
    reserve(tmp_path / "state", no_routes).give_back()
    assert reservation.cgroup in removed
    assert not (machines / "node-1" / "var").exists()
