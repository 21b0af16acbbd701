from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuzz import fuzz_verify

INPUTS = sorted(fuzz_verify.CORPUS.iterdir())
RUNNER = fuzz_verify.FOLDER / "run_fuzz_verify.py"
SECONDS = 5


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_the_corpus_gets_the_verdict_in_its_name(path: Path) -> None:
    verdict = "accepted" if fuzz_verify.judge(path.read_bytes()) else "refused"
    assert path.name.startswith(verdict)


def test_the_corpus_has_accepted_evidence_of_every_product() -> None:
    names = {path.name for path in INPUTS}
    assert {f"accepted-chain-{product}" for product in ("milan", "genoa", "turin")} <= names


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x00", b"\x07\xff\xff\x01", b"\xff" * 9])
def test_any_bytes_are_an_input(data: bytes) -> None:
    assert not fuzz_verify.judge(data)


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_some_seconds_of_fuzzing_find_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(RUNNER), f"-max_total_time={SECONDS}"]
    ended = subprocess.run(  # noqa: S603 - our own script
        [*command, str(tmp_path), str(fuzz_verify.CORPUS)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert " cov: " in ended.stderr, "no coverage was seen: this was not guided by any"
