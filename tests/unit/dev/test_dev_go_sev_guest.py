"""Speaking with the program that asks go-sev-guest; here a script stands in for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodeproof_dev.errors import ComponentFailed, PeerRefused
from nodeproof_dev.go_sev_guest import GoSEVGuest, Question

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CHAIN = (b"vek", b"intermediate", b"root")


def standin(folder: Path, script: str) -> Path:
    path = folder / "gosevguest"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


def echoing(folder: Path, answer: str) -> Path:
    """A program that keeps each question in a file and always answers the same."""
    loop = f"while read -r line; do echo \"$line\" >>{folder}/asked; echo '{answer}'; done"
    return standin(folder, loop)


def test_returns_the_verdict(tmp_path: Path) -> None:
    with GoSEVGuest(echoing(tmp_path, '{"accepted":false,"error":"no"}')) as peer:
        verdict = peer.verify(b"report", CHAIN, at=NOW)
    assert (verdict.accepted, verdict.error) == (False, "no")


def test_leaves_out_what_is_not_asked(tmp_path: Path) -> None:
    with GoSEVGuest(echoing(tmp_path, '{"accepted":true,"error":""}')) as peer:
        peer.ask(Question(b"report", CHAIN, NOW))
        peer.answer()
    asked = (tmp_path / "asked").read_text()
    assert '"mode":"verify"' in asked
    assert "crl" not in asked
    assert "product" not in asked


def test_an_empty_list_is_not_no_list(tmp_path: Path) -> None:
    with GoSEVGuest(echoing(tmp_path, '{"accepted":true,"error":""}')) as peer:
        peer.ask(Question(b"report", CHAIN, NOW, crl=b""))
        peer.answer()
    assert '"crl":""' in (tmp_path / "asked").read_text()


def test_takes_the_time(tmp_path: Path) -> None:
    answer = '{"accepted":true,"error":"","nanoseconds":1500000}'
    with GoSEVGuest(echoing(tmp_path, answer)) as peer:
        assert peer.bench(b"report", CHAIN, at=NOW, rounds=3) == 1_500_000


def test_takes_no_time_of_what_it_refuses(tmp_path: Path) -> None:
    with (
        GoSEVGuest(echoing(tmp_path, '{"accepted":false,"error":"not mine"}')) as peer,
        pytest.raises(PeerRefused, match="not mine"),
    ):
        peer.bench(b"report", CHAIN, at=NOW, rounds=3)


def test_tells_that_the_program_has_ended(tmp_path: Path) -> None:
    with (
        GoSEVGuest(standin(tmp_path, "read -r line")) as peer,
        pytest.raises(ComponentFailed, match="has ended"),
    ):
        peer.verify(b"report", CHAIN, at=NOW)
