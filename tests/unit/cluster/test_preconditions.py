from __future__ import annotations

import pytest

from nodeproof_operator.cluster.preconditions import Precondition, PreconditionEmpty


@pytest.mark.parametrize("version", ["", "0", "007", "abc", "-1", "٣"])
def test_refuses_a_resource_version_that_is_no_condition(version: str) -> None:
    with pytest.raises(PreconditionEmpty):
        Precondition("uid", version)


def test_refuses_an_empty_uid() -> None:
    with pytest.raises(ValueError, match="needs the uid"):
        Precondition("", "7")


def test_states_uid_and_resource_version() -> None:
    assert Precondition("uid", "7").metadata() == {"uid": "uid", "resourceVersion": "7"}


def test_leaves_the_resource_version_out_of_writes_that_must_not_starve() -> None:
    assert Precondition("uid", None).metadata() == {"uid": "uid"}
