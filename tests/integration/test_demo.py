"""The demo, as a newcomer runs it: its story comes true, and interrupted it leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nodeproof_dev.controlplane import EXISTING_VARIABLE

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        EXISTING_VARIABLE in os.environ,
        reason="on an existing cluster the demo's operator would be one of the run's replicas",
    ),
]

SECONDS = 120


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo in a process group of its own, as a terminal runs it, with a TMPDIR of its own."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "nodeproof_dev", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    with process:
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if text in line:
            return told
    pytest.fail(f"the demo never said {text!r}:\n{told}")


def running_in(directory: Path) -> list[list[str]]:
    return [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if any(str(directory) in word for word in process.info["cmdline"] or [])
    ]


def test_its_story_comes_true(demo: subprocess.Popen[str], tmp_path: Path) -> None:
    told, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 0, told
    for fact in (
        "check Measurement failed",
        "check GuestDebug failed",
        "the label is gone",
        "the NoExecute taint is there",
        "the pod is evicted",
        "a second pod stays Pending",
        "state='Passed'} 1",
    ):
        assert fact in told
    assert running_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["1. A real control plane", "2. nodeproof", "4. A policy"])
def test_interrupted_it_leaves_no_process_and_no_file(
    demo: subprocess.Popen[str], tmp_path: Path, moment: str
) -> None:
    read_until(demo, moment)
    os.killpg(demo.pid, signal.SIGINT)
    told, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 130, told
    assert "nothing is left running" in told
    assert running_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
