"""A kubelet that writes its status all the time, so that its Node is never as it was read."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from nodeproof_dev.api import STRATEGIC_PATCH
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.registration import timestamp


def condition(kind: str, time: str, message: str = "") -> dict[str, Any]:
    """Return a patch of a Node's status with one condition."""
    said = {"type": kind, "status": "True", "reason": "Hostile", "message": message}
    return {"status": {"conditions": [said | {"lastHeartbeatTime": time}]}}


class Hammer:
    """A kubelet that writes its status while the block runs, about 150 times a second."""

    def __init__(self, hostile: SimulatedNode) -> None:
        self.answers: list[int] = []
        self._node = hostile
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(2)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    @property
    def writes(self) -> int:
        """How many there have been."""
        return len(self.answers)

    def _run(self) -> None:
        while not self._stop.is_set():
            said = condition("Busy", timestamp(datetime.now(UTC)), message=str(self.writes))
            status, _ = self._node.api.call(
                "PATCH", f"{self._node.path}/status", said, content_type=STRATEGIC_PATCH
            )
            self.answers.append(status)
