from __future__ import annotations

from pathlib import Path

import pytest

from nodeproof_dev.errors import BuildFailed
from nodeproof_dev.sev_guest_shim import compile_shim, why_not

_FAILING = "#!/bin/sh\ncat >/dev/null\necho 'no such member' >&2\nexit 1\n"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory that programs are looked for in."""
    monkeypatch.setenv("PATH", f"{tmp_path}")
    return tmp_path


def compiler(path: Path, text: str) -> None:
    (path / "cc").write_text(text.replace("cat", "/bin/cat"))
    (path / "cc").chmod(0o755)


@pytest.mark.usefixtures("path")
def test_says_that_there_is_no_compiler() -> None:
    assert why_not() == "there is no C compiler: cc is not on PATH"


def test_says_which_header_is_missing(path: Path) -> None:
    compiler(path, "#!/bin/sh\n! /bin/grep -q sev-guest\n")
    assert why_not() == "the header <linux/sev-guest.h> is missing (Debian: linux-libc-dev)"


def test_nothing_is_in_the_way_of_a_compiler_with_its_headers(path: Path) -> None:
    compiler(path, "#!/bin/sh\ncat >/dev/null\n")
    assert why_not() == ""


def test_a_header_that_disagrees_is_told_in_the_compiler_s_words(path: Path) -> None:
    compiler(path, _FAILING)
    with pytest.raises(BuildFailed, match="no such member"):
        compile_shim(path)
