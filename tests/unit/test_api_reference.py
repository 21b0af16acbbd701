from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "script",
    ["generate_api.py", "generate_policy.py", "generate_platforms.py", "generate_chart.py"],
)
def test_what_is_generated_is_what_its_sources_say(repository: Path, script: str) -> None:
    generator = repository / "docs" / script
    compared = subprocess.run(  # noqa: S603 - a script of ours
        [sys.executable, generator, "--check"], capture_output=True, text=True, check=False
    )
    assert compared.returncode == 0, compared.stderr
