"""Child processes that are started, asked, stopped and named when they fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from nodeproof_dev.errors import ComponentFailed, NotReadyInTime, PortTaken
from nodeproof_dev.process import Child, clean_environment, log_tail, stop_all, wait_until

OBEDIENT = "import time; print('here', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('here', flush=True); time.sleep(60)"
)


def child(tmp_path: Path, program: str) -> Child:
    command = [sys.executable, "-c", program]
    started = Child("a child", command, tmp_path / "logs" / "child.log", clean_environment())
    started.start()
    return started


def is_here(started: Child) -> bool:
    return "here" in log_tail(started.log_path)


def test_a_child_is_stopped(tmp_path: Path) -> None:
    started = child(tmp_path, OBEDIENT)
    started.wait_ready(lambda: is_here(started), seconds=20)
    started.stop()
    assert not started.running


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    started = child(tmp_path, STUBBORN)
    started.wait_ready(lambda: is_here(started), seconds=20)
    stop_all([started], seconds=0.1)
    assert not started.running


def test_a_child_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    started = child(tmp_path, "print('no such flag'); raise SystemExit(3)")
    with pytest.raises(ComponentFailed, match="exit code 3") as failure:
        started.wait_ready(lambda: False, seconds=20)
    assert str(started.log_path) in str(failure.value)
    assert "no such flag" in str(failure.value)


def test_a_child_whose_port_is_taken_is_told_apart(tmp_path: Path) -> None:
    started = child(tmp_path, "raise SystemExit('bind: address already in use')")
    with pytest.raises(PortTaken):
        started.wait_ready(lambda: False, seconds=20)


def test_a_child_that_is_never_ready_is_reported_with_its_log(tmp_path: Path) -> None:
    started = child(tmp_path, OBEDIENT)
    with pytest.raises(ComponentFailed, match=r"child\.log"):
        started.wait_ready(lambda: False, seconds=0.1)
    started.kill()


def test_waiting_for_what_never_comes_ends() -> None:
    with pytest.raises(NotReadyInTime, match="the impossible"):
        wait_until(lambda: False, seconds=0, what="the impossible")


def test_only_the_end_of_a_log_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(10_000)))
    assert log_tail(log).splitlines()[-1] == "line 9999"
    assert len(log_tail(log).splitlines()) == 15


def test_a_child_does_not_inherit_another_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/elsewhere")
    monkeypatch.setenv("NODEPROOF_PROVIDER", "another")
    inherited = clean_environment({"OURS": "1"})
    assert "KUBECONFIG" not in inherited
    assert "NODEPROOF_PROVIDER" not in inherited
    assert inherited["OURS"] == "1"
    assert inherited["PATH"] == os.environ["PATH"]
