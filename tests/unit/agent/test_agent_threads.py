from __future__ import annotations

import asyncio
import threading

import pytest

from nodeproof_agent.threads import DaemonThreads


def test_returns_the_result() -> None:
    assert DaemonThreads().submit(divmod, 7, 2).result(timeout=10) == (3, 1)


def test_passes_on_what_was_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        DaemonThreads().submit(divmod, 7, 0).result(timeout=10)


def test_a_loop_ends_without_waiting_for_a_blocked_call() -> None:
    gate = threading.Event()

    async def leave_a_call_behind() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(DaemonThreads())
        _ = loop.run_in_executor(None, gate.wait, 30)

    asyncio.run(leave_a_call_behind())
    assert not gate.is_set()
    gate.set()
