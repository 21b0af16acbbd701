from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from structlog.testing import LogCapture

from nodeproof.errors import NodeproofError
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.intake.upkeep import keep_fresh


@dataclass
class Diary:
    """Refreshes as it is told to, and stops the loop after so many pauses."""

    outcomes: list[BaseException | None]
    pauses: list[float] = field(default_factory=list)

    async def refresh(self) -> None:
        outcome = self.outcomes.pop(0)
        if outcome:
            raise outcome

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if not self.outcomes:
            raise asyncio.CancelledError

    async def run(self) -> None:
        with pytest.raises(asyncio.CancelledError):
            await keep_fresh("keys", self.refresh, 30.0, sleep=self.sleep)


async def test_refreshes_at_its_pace() -> None:
    diary = Diary([None, None])
    await diary.run()
    assert diary.pauses == [30.0, 30.0]


async def test_a_failure_is_tried_again_sooner_and_logged(log: LogCapture) -> None:
    diary = Diary([Unreachable("no answer", status=0), None])
    await diary.run()
    assert diary.pauses == [2.0, 30.0]
    assert (log.entries[0]["what"], log.entries[0]["reason"]) == ("keys", "Unreachable")


async def test_a_fault_of_ours_is_not_hidden() -> None:
    diary = Diary([ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        await keep_fresh("keys", diary.refresh, 30.0, sleep=diary.sleep)


async def test_any_error_of_nodeproof_is_survived() -> None:
    diary = Diary([NodeproofError("odd"), None])
    await diary.run()
    assert diary.pauses == [2.0, 30.0]
