"""Run a Python module as a program that ends when its parent ends, however that ends.

``python -m nodeproof_dev.tethered PARENT_PID MODULE [ARGUMENT...]`` is ``python -m MODULE`` with a
thread that watches the parent. The kernel's parent-death signal would follow the thread that
started the child, not the parent's process.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time

_POLL_SECONDS = 0.25


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def main() -> None:
    """Start to watch, then be the module."""
    parent, module = int(sys.argv[1]), sys.argv[2]
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
