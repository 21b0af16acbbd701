"""Parametrises tests over the genuine reports, or skips them with the reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fakes import genuine

SELECTIONS: dict[str, Callable[[genuine.Vector], bool]] = {
    "vector": lambda vector: True,  # noqa: ARG005 - each selection takes a vector
    "valid_vector": lambda vector: vector.about["expected"] == "valid",
    "reissued_vector": lambda vector: bool(vector.reissues),
}
"""Which reports a test gets for each name among its arguments."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    absent = pytest.param(None, id="absent", marks=pytest.mark.skip(reason=genuine.ABSENT))
    for name in SELECTIONS.keys() & set(metafunc.fixturenames):
        selected = filter(SELECTIONS[name], genuine.load_all())
        known = [pytest.param(vector, id=vector.name) for vector in selected]
        metafunc.parametrize(name, known or [absent])


@pytest.fixture(scope="session")
def genoa() -> genuine.Vector:
    """One genuine Genoa report, with the host's certificate table."""
    if not genuine.FOLDER.is_dir():
        pytest.skip(genuine.ABSENT)
    return genuine.load("genoa-v3-vcek-3")
