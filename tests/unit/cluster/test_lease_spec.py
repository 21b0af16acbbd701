from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from nodeproof_operator.cluster.lease_spec import (
    LEASE_DURATION_SECONDS,
    freed,
    held,
    holder,
    respected_seconds,
    timestamp,
)

WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_writes_microseconds_in_utc_wherever_it_runs() -> None:
    paris = timezone(timedelta(hours=1))
    assert timestamp(WHEN.astimezone(paris)) == "2026-01-02T03:04:05.000006Z"


def test_counts_no_transition_when_the_lease_is_new() -> None:
    assert held({}, "a", WHEN)["leaseTransitions"] == 0


def test_counts_a_transition_when_the_holder_changes() -> None:
    taken = held({"holderIdentity": "b", "leaseTransitions": 4}, "a", WHEN)
    assert (taken["leaseTransitions"], taken["acquireTime"]) == (5, timestamp(WHEN))


def test_keeps_count_and_acquire_time_when_it_renews() -> None:
    first = held({}, "a", WHEN)
    second = held(first, "a", WHEN + timedelta(seconds=2))
    assert second == {**first, "renewTime": timestamp(WHEN + timedelta(seconds=2))}


def test_counts_a_transition_when_a_freed_lease_is_taken() -> None:
    assert held(freed(held({}, "a", WHEN), WHEN), "b", WHEN)["leaseTransitions"] == 1


def test_frees_a_lease() -> None:
    assert holder(freed(held({}, "a", WHEN), WHEN)) == ""


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [(1, LEASE_DURATION_SECONDS), (30, 30.0), (10**9, 60.0), (None, LEASE_DURATION_SECONDS)],
)
def test_waits_for_a_longer_lease_but_not_for_ever(stated: int | None, seconds: float) -> None:
    assert respected_seconds({"leaseDurationSeconds": stated}) == seconds
