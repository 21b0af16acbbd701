"""The agent's pod on a stand-in node: its volumes and its process."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from nodeproof_dev.agent_process import AgentProcess
from nodeproof_dev.api import Api, Object
from nodeproof_dev.interfaces import Interface
from nodeproof_dev.pods import CRASHED, NO_PLATFORM, RUNNING, Containers
from nodeproof_dev.volumes import AgentVolumes


class AgentPod:
    """One pod of the agents' DaemonSet; without a platform nothing runs in it.

    Attributes:
        uid: The pod's UID.
        process: The agent, or None on a node without a platform.
    """

    def __init__(self, api: Api, pod: Object, interface: Interface | None, directory: Path) -> None:
        self.uid: str = pod["metadata"]["uid"]
        self._volumes = AgentVolumes(api, pod, directory / "pods" / self.uid, _now)
        self.process = (
            AgentProcess(interface, self._volumes, directory / "agent.log", time.monotonic)
            if interface
            else None
        )

    def sync(self, operator_url: Callable[[], str]) -> Containers:
        """Bring volumes and process to what they should be; return how the container fares.

        Raises:
            ApiRefused: The volumes cannot be filled (yet).
            ApiUnreachable: The API server is away; a running agent goes on running.
        """
        if self.process is None:
            return NO_PLATFORM
        self._volumes.refresh()
        self.process.ensure_running(operator_url())
        return RUNNING if self.process.running else CRASHED

    def stop(self) -> None:
        """Stop the process."""
        if self.process is not None:
            self.process.stop()


def _now() -> datetime:
    return datetime.now(UTC)
