"""A desk for the command's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from cases.desk import Desk


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A desk with genuine evidence on it."""
    laid = Desk(tmp_path, capsys)
    laid.lay_out()
    return laid
