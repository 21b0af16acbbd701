"""The demo on real nodes: its story comes true."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nodeproof_dev.build import HELM, binary_of
from nodeproof_dev.images import building

SECONDS = 300


@pytest.mark.timeout(1800)  # the first time, images are built
def test_the_story_is_told_to_its_end() -> None:
    building.obtain()
    binary_of(HELM)
    told = subprocess.run(
        [sys.executable, "-m", "nodeproof_dev", "demo", "--real"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    for line in (
        "check Measurement failed",
        "check GuestDebug failed",
        "the label is gone",
        "the pod is evicted",
        "a second pod stays Pending",
        "latecomer   1/1     Running",
        "Now all of it is removed",
    ):
        assert line in told.stdout
