from __future__ import annotations

import re

import pytest

from nodeproof.checks import CATALOGUE, Check

CHECKS = list(CATALOGUE.values())


def test_every_check_is_listed_under_its_id() -> None:
    assert list(CATALOGUE) == [check.id for check in CHECKS]


def test_the_checks_of_this_release() -> None:
    assert list(CATALOGUE) == [
        "SignerKind",
        "GuestDebug",
        "MigrationAgent",
        "SMT",
        "SingleSocket",
        "VMPL",
        "Measurement",
    ]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_an_id_fits_conditions_and_metric_labels(check: Check) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]{0,62}", check.id)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_explains_itself(check: Check) -> None:
    assert check.title
    assert check.description.endswith(".")
    assert check.remedy.endswith(".")


def test_the_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CATALOGUE["Other"] = CHECKS[0]  # type: ignore[index]  # that it is refused is the point
