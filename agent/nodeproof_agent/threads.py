"""Threads that a stop need not wait for.

Firmware and name resolution may block for many seconds and cannot be interrupted. The standard
executor joins its threads at exit, which would hold up SIGTERM for as long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class DaemonThreads(ThreadPoolExecutor):
    """An executor for the event loop that runs each call in a daemon thread of its own."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Start the call at once."""
        future: Future[_T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - handed to who waits, whatever it is
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=run, name="nodeproof-call", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of the base class
        """Return at once, whatever is still running."""
