"""Terms of leadership, one after the other, as the Lease comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nodeproof_operator.cluster.kinds import Key, Kind
from nodeproof_operator.enforcement.term import Term

_CONCERN_ALL_NODES = frozenset({Kind.POLICY, Kind.REFERENCE_VALUE_SET})


class Leader:
    """Starts a term when the Lease is won, ends it the moment it is lost, and feeds it.

    Args:
        build: Makes the next term, with nothing of the last one in it.
        show: Told whether this replica leads, for the metrics.
    """

    def __init__(self, build: Callable[[], Term], show: Callable[[bool], None]) -> None:
        self._build = build
        self._show = show
        self._term: Term | None = None
        self._task: asyncio.Task[None] | None = None
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Begin a term; the last one, if it is still ending, is waited for."""
        self._show(True)  # noqa: FBT003 - a callback's only argument
        self._term = self._build()
        self._task = asyncio.create_task(self._run(self._term, self._task))

    def end(self) -> None:
        """End the term; returns at once, with writing forbidden."""
        if self._term is not None:
            self._term.gate.close()
            self._term = None
        self._show(False)  # noqa: FBT003 - a callback's only argument
        if self._task is not None:
            self._task.cancel()

    def note(self, key: Key) -> None:
        """Let the term in office, if there is one, look at what concerns a changed object."""
        if self._term is None:
            return
        if key.kind in _CONCERN_ALL_NODES:
            self.look_at_all()
        else:
            self._term.queue.add(key.name)

    def look_at_all(self) -> None:
        """Let the term in office, if there is one, look at every Node: AMD may have revoked."""
        if self._term is not None:
            self._term.sweep.queue_all()

    def list_soon(self) -> None:
        """Let the term in office, if there is one, read complete lists: events were lost."""
        if self._term is not None:
            self._term.sweep.list_soon()

    async def watch(self) -> None:
        """Wait until a term breaks, and raise what broke it; at the end wait for the last one.

        Raises:
            ExceptionGroup: What the tasks of a term have raised.
        """
        try:
            await self._broken
        finally:
            if self._task is not None:
                await asyncio.wait([self._task])

    async def _run(self, term: Term, last: asyncio.Task[None] | None) -> None:
        if last is not None:
            await asyncio.wait([last])
        try:
            await term.run()
        except Exception as error:  # noqa: BLE001 - a replica that cannot lead must not look well
            if not self._broken.done():
                self._broken.set_exception(error)
