"""Write the table of causes in docs/platforms.md from the catalogue; with --check, only compare."""  # noqa: INP001 - a script

from __future__ import annotations

import sys
from collections.abc import Iterator

from part import renew

from nodeproof.unavailability import CAUSES


def _table() -> Iterator[str]:
    yield "| cause | what it says | what to do | passes by itself |"
    yield "|---|---|---|---|"
    for cause, said in CAUSES.items():
        passes = "no" if said.lasting else "it may"
        cells = (f"`{cause}` {said.title}", said.meaning, said.remedy, passes)
        yield f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.exit(renew("platforms", _table()))
