from __future__ import annotations

from pathlib import Path

from differential import page
from differential.only_they_accept import ONLY_THEY_ACCEPT
from differential.only_we_accept import ONLY_WE_ACCEPT


def test_the_page_is_what_the_lists_say(repository: Path) -> None:
    written = (repository / "docs" / "differences.md").read_text()
    assert written == page.render(), "run PYTHONPATH=tests python -m differential.page"


def test_each_reason_has_a_name_of_its_own() -> None:
    names = [each.name for each in (*ONLY_THEY_ACCEPT, *ONLY_WE_ACCEPT)]
    assert len(names) == len(set(names))
