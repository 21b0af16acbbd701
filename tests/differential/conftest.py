"""The other verifier, running; and what came of the comparison, at the end of the run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nodeproof_dev import build
from nodeproof_dev.errors import GoMissing
from nodeproof_dev.go_sev_guest import GoSEVGuest

SUMMARY = pytest.StashKey[list[str]]()
"""Lines for the end of the run."""


@pytest.fixture(scope="session")
def peer() -> Iterator[GoSEVGuest]:
    """The other verifier; built if there is Go, on PATH or fetched for the control plane before."""
    try:
        binary = build.binary_of(build.GO_SEV_GUEST, fetch_go=False)
    except GoMissing as error:
        pytest.skip(f"go-sev-guest is not built: {error}; `make test` fetches Go")
    with GoSEVGuest(binary) as running:
        yield running


@pytest.fixture(scope="session")
def summary(pytestconfig: pytest.Config) -> list[str]:
    """Lines to show at the end of the run."""
    return pytestconfig.stash.setdefault(SUMMARY, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    lines = config.stash.get(SUMMARY, [])
    if lines:
        terminalreporter.section("compared with go-sev-guest")
        for line in lines:
            terminalreporter.write_line(line)
