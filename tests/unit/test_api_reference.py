from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_api_reference_is_what_the_crds_say(repository: Path) -> None:
    generator = repository / "docs" / "generate_api.py"
    compared = subprocess.run(  # noqa: S603 - a script of ours
        [sys.executable, generator, "--check"], capture_output=True, text=True, check=False
    )
    assert compared.returncode == 0, compared.stderr
