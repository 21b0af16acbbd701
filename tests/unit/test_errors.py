from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from nodeproof import errors
from nodeproof.errors import NodeproofError, Overloaded, SignatureInvalid


def children(kind: type[NodeproofError]) -> list[type[NodeproofError]]:
    return [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]


def descendants(kind: type[NodeproofError]) -> Iterator[type[NodeproofError]]:
    for child in children(kind):
        yield child
        yield from descendants(child)


def drawing(kind: type[NodeproofError], indent: str = "    ") -> Iterator[str]:
    *_, last = [None, *children(kind)]
    for child in children(kind):
        branch, below = ("└── ", "    ") if child is last else ("├── ", "│   ")
        yield f"{indent}{branch}{child.__name__}"
        yield from drawing(child, indent + below)


ALL: list[type[NodeproofError]] = [NodeproofError, *descendants(NodeproofError)]


@pytest.mark.parametrize("kind", ALL)
def test_the_reason_is_the_class_name(kind: type[NodeproofError]) -> None:
    assert kind.reason == kind.__name__


def test_texts_hold_nothing_that_a_terminal_obeys() -> None:
    error = NodeproofError("a\x1b[2Jb", expected="…", observed="c\n\u202ed")
    assert (error.message, error.expected, error.observed) == (
        "a\\x1b[2Jb",
        "…",
        "c\\n\\u202ed",
    )


def test_reasons_are_unique() -> None:
    assert len({kind.reason for kind in ALL}) == len(ALL)


@pytest.mark.parametrize("kind", ALL)
def test_the_reason_can_be_a_conditions_reason(kind: type[NodeproofError]) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", kind.reason)


def test_the_module_shows_the_whole_tree() -> None:
    drawn = re.findall(r"^ +[│├└][│├└─ ]*\w+", errors.__doc__ or "", re.MULTILINE)
    assert drawn == list(drawing(NodeproofError))


def test_the_text_holds_what_was_expected_and_observed() -> None:
    error = SignatureInvalid("not signed", expected="a good one", observed="a bad one")
    assert str(error) == "not signed (expected a good one, observed a bad one)"


def test_the_text_omits_facts_that_there_are_not() -> None:
    assert str(SignatureInvalid("not signed", observed="a bad one")) == (
        "not signed (observed a bad one)"
    )
    assert str(SignatureInvalid("not signed")) == "not signed"


def test_being_overloaded_says_when_to_come_again() -> None:
    assert Overloaded("busy", retry_after_seconds=7).retry_after_seconds == 7
