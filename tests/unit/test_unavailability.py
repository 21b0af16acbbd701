"""The catalogue of causes: complete, and fit for conditions, metrics and people."""

from __future__ import annotations

import re

import pytest

from nodeproof.protocol import MAX_CAUSE_LENGTH
from nodeproof.unavailability import CAUSES, Cause


def test_every_cause_is_explained() -> None:
    assert set(CAUSES) == set(Cause)


@pytest.mark.parametrize("cause", Cause)
def test_a_cause_can_be_a_conditions_reason(cause: Cause) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z]*", cause)
    assert len(cause) <= MAX_CAUSE_LENGTH


@pytest.mark.parametrize("cause", Cause)
def test_every_explanation_is_whole_sentences_under_a_short_title(cause: Cause) -> None:
    explanation = CAUSES[cause]
    assert len(explanation.title) <= 50
    assert explanation.title[0].islower()
    for text in (explanation.meaning, explanation.remedy):
        assert text.endswith(".")
        assert len(text) <= 250


def test_titles_are_unique() -> None:
    assert len({each.title for each in CAUSES.values()}) == len(CAUSES)
