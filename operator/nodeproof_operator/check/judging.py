"""All findings about one look at an installation, in the order in which things depend. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from nodeproof_operator.check.findings import Finding, Level
from nodeproof_operator.check.fleet import judge_nodes, judge_runtime_classes
from nodeproof_operator.check.groundwork import judge_admission, judge_crds
from nodeproof_operator.check.rights import judge_rights
from nodeproof_operator.check.seen import Seen
from nodeproof_operator.check.workloads import (
    judge_agents,
    judge_lease,
    judge_operator,
    judge_service,
)


def judge(seen: Seen) -> list[Finding]:
    """Return what there is to say."""
    return [
        *judge_crds(seen.crds),
        *judge_admission(seen.admission),
        *judge_rights(seen.rights),
        *judge_operator(seen),
        *judge_lease(seen),
        *judge_service(seen),
        *judge_agents(seen),
        *judge_runtime_classes(seen),
        *judge_nodes(seen),
    ]


def has_failed(findings: Sequence[Finding]) -> bool:
    """Return whether something keeps nodeproof from working."""
    return any(each.level is Level.FAILED for each in findings)


def report(findings: Sequence[Finding]) -> list[str]:
    """Return the lines to print."""
    counted = {level: sum(each.level is level for each in findings) for level in Level}
    summary = ", ".join(f"{number} {level}" for level, number in counted.items())
    return [*(line for each in findings for line in each.lines()), summary]
