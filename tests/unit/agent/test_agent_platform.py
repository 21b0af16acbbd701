from __future__ import annotations

import asyncio
import threading

import pytest

from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers.worker import Platform
from unit.agent.agent_standins import NO_DEVICE, FakeProvider

DATA = bytes(range(64))


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def blocked(gate: threading.Event) -> FakeProvider:
    return FakeProvider(before=lambda: gate.wait(10))


async def test_returns_what_the_provider_gave() -> None:
    evidence = await Platform(FakeProvider()).attest(DATA)
    assert evidence.report[0x50:0x90] == DATA


async def test_leaves_the_event_loop_free_while_firmware_blocks(
    blocked: FakeProvider, gate: threading.Event
) -> None:
    call = asyncio.create_task(Platform(blocked).attest(DATA))
    assert await asyncio.to_thread(blocked.begun.wait, 10)
    assert not call.done()
    gate.set()
    assert (await call).report


async def test_passes_on_why_there_is_no_evidence() -> None:
    with pytest.raises(ProviderFailed, match="there is no device"):
        await Platform(FakeProvider(fault=NO_DEVICE)).attest(DATA)


async def test_whatever_a_provider_raises_means_no_evidence() -> None:
    with pytest.raises(ProviderFailed, match="observed TimeoutError: firmware") as caught:
        await Platform(FakeProvider(fault=TimeoutError("firmware"))).attest(DATA)
    assert caught.value.cause is Cause.INTERNAL_ERROR


async def test_does_not_wait_for_ever(blocked: FakeProvider, gate: threading.Event) -> None:
    with pytest.raises(ProviderFailed, match=r"expected within 0\.01 s") as caught:
        await Platform(blocked, patience_seconds=0.01).attest(DATA)
    assert caught.value.cause is Cause.TIMED_OUT
    gate.set()


async def test_does_not_pile_up_calls_to_firmware_that_hangs(
    blocked: FakeProvider, gate: threading.Event
) -> None:
    platform = Platform(blocked, patience_seconds=0.01)
    with pytest.raises(ProviderFailed, match="in time"):
        await platform.attest(DATA)
    with pytest.raises(ProviderFailed, match="still busy") as caught:
        await platform.attest(DATA)
    assert caught.value.cause is Cause.TIMED_OUT
    assert len(blocked.asked) == 1
    gate.set()
