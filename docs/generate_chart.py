"""Write the table of values in the chart's README from values.yaml; with --check, only compare."""  # noqa: INP001 - a script

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from part import renew

from nodeproof_dev.chart.values import documented, values_text

README = Path(__file__).resolve().parents[1] / "charts" / "nodeproof" / "README.md"


def _table() -> Iterator[str]:
    yield "| value | default | what it does |"
    yield "|---|---|---|"
    for value in documented(values_text()):
        yield f"| `{value.key}` | {_shown(value.default)} | {_escaped(value.text)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _shown(default: Any) -> str:
    return f"`{json.dumps(default)}`"


if __name__ == "__main__":
    sys.exit(renew("chart", _table(), README))
