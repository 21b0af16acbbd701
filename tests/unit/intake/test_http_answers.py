"""The table of statuses: complete, and kind to what is added later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nodeproof.errors import (
    AuthenticationError,
    ChallengeError,
    MessageError,
    NodeproofError,
    Overloaded,
    VerificationError,
)
from nodeproof_operator.intake.answers import refused, status_of

ROOTS = (AuthenticationError, ChallengeError, MessageError, VerificationError)


def leaves(kind: type[NodeproofError]) -> Iterator[type[NodeproofError]]:
    below = kind.__subclasses__()
    if not below:
        yield kind
    for each in below:
        yield from leaves(each)


@pytest.mark.parametrize("kind", [each for root in ROOTS for each in leaves(root)])
def test_every_error_of_a_request_has_a_status_of_its_own(kind: type[NodeproofError]) -> None:
    assert status_of(kind("no")) != 500


def test_an_error_that_no_request_can_cause_is_a_fault_of_ours() -> None:
    assert status_of(NodeproofError("odd")) == 500


def test_an_overload_says_when_to_come_again() -> None:
    assert refused(Overloaded("later", retry_after_seconds=7)).headers["Retry-After"] == "7"


def test_a_refusal_for_good_does_not() -> None:
    assert "Retry-After" not in refused(MessageError("no")).headers
