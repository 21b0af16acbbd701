from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from unit.endorsements.fetcher_bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def running(bench: Bench) -> AsyncIterator[Bench]:
    async with bench.running():
        yield bench
