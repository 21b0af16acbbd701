"""Keeps a machine's services running, as an init system would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nodeproof_dev.real.blueprint import Service

RESTART_SECONDS = 1.0
"""Time between the end of a service and its next start."""


class Supervisor:
    """Decides which services are to be started; starting and reaping is its caller's."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        spawn: Callable[[Service], int],
        is_there: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        """Begin with nothing running.

        Args:
            services: What is to run.
            spawn: Starts a service and returns its process ID.
            is_there: Whether a path that a service needs is there.
            clock: Monotonic time in seconds.
        """
        self._services = services
        self._spawn = spawn
        self._is_there = is_there
        self._clock = clock
        self._running: dict[int, Service] = {}
        self._not_before: dict[str, float] = {}
        self._done: set[str] = set()

    def start_due(self) -> None:
        """Start all that does not run, has what it needs, and has waited long enough."""
        now = self._clock()
        running = {service.name for service in self._running.values()}
        for service in self._services:
            if service.name in running | self._done or now < self._not_before.get(service.name, 0):
                continue
            if all(self._is_there(path) for path in service.needs):
                self._running[self._spawn(service)] = service

    def ended(self, pid: int, code: int) -> Service | None:
        """Take note that a process has ended; return the service that is now done, if one is.

        Most that end are no services: a machine's first process inherits every orphan in it.
        """
        service = self._running.pop(pid, None)
        if service is None:
            return None
        if service.once and code == 0:
            self._done.add(service.name)
            return service
        self._not_before[service.name] = self._clock() + RESTART_SECONDS
        return None
