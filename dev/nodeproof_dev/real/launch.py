"""Start a machine's first process in namespaces of its own, and end with it.

Run tethered (``nodeproof_dev.tethered``): when whoever started us ends, we do, and so does the
whole machine.
"""

from __future__ import annotations

import subprocess
import sys

_OWN = ["--pid", "--mount", "--net", "--uts", "--ipc", "--propagation=private"]


def main() -> None:
    """Start the machine that a blueprint's file describes and wait for its end."""
    # The signal that the kernel sends at a parent's end is the parent thread's, which here is the
    # main one. It reaches unshare, and from there the machine's first process.
    dying_with_us = ["setpriv", "--pdeathsig=KILL", "--"]
    unshare = ["unshare", *_OWN, "--fork", "--kill-child=KILL", "--"]
    boot = [sys.executable, "-m", "nodeproof_dev.real.boot", *sys.argv[1:]]
    sys.exit(subprocess.run([*dying_with_us, *unshare, *boot], check=False).returncode)


if __name__ == "__main__":
    main()
