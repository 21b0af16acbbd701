"""Which services a machine starts, and when."""

from __future__ import annotations

import pytest

from nodeproof_dev.real.blueprint import Service
from nodeproof_dev.real.supervisor import RESTART_SECONDS, Supervisor

RUNTIME = Service("runtime", ("runtime",), needs=())
IMAGE = Service("image", ("load",), needs=("/socket",), once=True)
KUBELET = Service("kubelet", ("kubelet",), needs=("/run/image.done",))


class World:
    """Paths that are there, a clock, and what was started, by process ID from 1."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.now = 100.0
        self.started: list[str] = []
        self.supervisor = Supervisor(
            (RUNTIME, IMAGE, KUBELET),
            spawn=self.spawn,
            is_there=lambda path: path in self.paths,
            clock=lambda: self.now,
        )

    def spawn(self, service: Service) -> int:
        self.started.append(service.name)
        return len(self.started)


@pytest.fixture
def world() -> World:
    made = World()
    made.supervisor.start_due()
    return made


def test_what_needs_nothing_is_started_at_once(world: World) -> None:
    assert world.started == ["runtime"]


def test_what_runs_is_not_started_again(world: World) -> None:
    world.supervisor.start_due()
    assert world.started == ["runtime"]


def test_a_service_waits_for_what_it_needs(world: World) -> None:
    world.paths.add("/socket")
    world.supervisor.start_due()
    assert world.started == ["runtime", "image"]


def test_what_ended_is_started_again_after_a_pause(world: World) -> None:
    assert world.supervisor.ended(1, 0) is None
    world.supervisor.start_due()
    assert world.started == ["runtime"]
    world.now += RESTART_SECONDS
    world.supervisor.start_due()
    assert world.started == ["runtime", "runtime"]


def test_what_succeeded_once_is_done(world: World) -> None:
    world.paths.add("/socket")
    world.supervisor.start_due()
    assert world.supervisor.ended(2, 0) is IMAGE
    world.now += RESTART_SECONDS
    world.supervisor.start_due()
    assert world.started == ["runtime", "image"]


def test_what_failed_is_tried_again(world: World) -> None:
    world.paths.add("/socket")
    world.supervisor.start_due()
    assert world.supervisor.ended(2, 1) is None
    world.now += RESTART_SECONDS
    world.supervisor.start_due()
    assert world.started == ["runtime", "image", "image"]


def test_an_orphan_that_ended_is_nobodys(world: World) -> None:
    assert world.supervisor.ended(99, 0) is None
    world.supervisor.start_due()
    assert world.started == ["runtime"]
