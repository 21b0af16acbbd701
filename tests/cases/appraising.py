"""One check at a time: claims, the rules that they are held against, and what comes out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fakes.claims import claims
from nodeproof.appraisal import Appraisal, CheckResult, appraise
from nodeproof.policy import Policy, PolicySpec, ReferenceValueSet
from nodeproof.result import Outcome
from nodeproof.sevsnp.verify import VerifiedReport

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def policy(*, sets: int = 1, **groups: Any) -> Policy:
    """Return a policy with these groups of its spec, and reference value sets set-0, set-1 …"""
    names = tuple(f"set-{number}" for number in range(sets))
    spec = PolicySpec(reference_value_set_names=names, **groups)
    return Policy(name="confidential", uid="uid", generation=1, spec=spec)


def judge(
    name: str, of: VerifiedReport | None = None, *, now: datetime = NOW, **groups: Any
) -> CheckResult:
    """Return how one check of a policy with these groups went."""
    values: list[ReferenceValueSet] = []
    return check(appraise(of or claims(), policy(**groups), values, now), name)


def passes(name: str, of: VerifiedReport | None = None, **groups: Any) -> bool:
    """Tell whether one check of a policy with these groups passes."""
    return judge(name, of, **groups).outcome is Outcome.PASSED


def check(appraisal: Appraisal, name: str) -> CheckResult:
    """Return how one check went."""
    (only,) = (each for each in appraisal.checks if each.id == name)
    return only
