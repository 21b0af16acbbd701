"""What a Node's labels and taint should be, and the one change that leads there. Pure.

========================  ==================  ====================================================
a policy's verdict        its label           the taint it asks for
========================  ==================  ====================================================
passed                    set                 none
failed                    removed             the policy's ``failureEffect``
the node's silence        removed             ``NoSchedule``; ``failureEffect`` after the grace if
                                              the evidence would have passed
the verifier's trouble    until the pass      ``NoSchedule``
                          ends
========================  ==================  ====================================================

The strongest wish wins. As long as anything is unknown our taint is never made weaker, so that
neither silence nor our own trouble takes back what a failure has earned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from nodeproof.policy import TaintEffect
from nodeproof.result import Outcome, Reason, Status
from nodeproof_operator.cluster.objects import GATE_VALUE
from nodeproof_operator.cluster.views import NodeView
from nodeproof_operator.enforcement.result import Assessment
from nodeproof_operator.enforcement.selection import gate_label
from nodeproof_operator.enforcement.taints import has_ours, strength, strongest
from nodeproof_operator.enforcement.verdict import Verdict


@dataclass(frozen=True, slots=True)
class DesiredNode:
    """How a Node should be: exactly these gate labels, and our taint with this effect or none."""

    gate_labels: frozenset[str]
    taint_effect: str | None


@dataclass(frozen=True, slots=True)
class Raise:
    """A change that raises trust: labels to set, and our taint as it should be then."""

    gate_labels: frozenset[str]
    taint_effect: str | None


@dataclass(frozen=True, slots=True)
class Lower:
    """A change that lowers trust: labels to remove, and a stronger effect of our taint if any."""

    gate_labels: frozenset[str]
    taint_effect: str | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Everything of ours to be taken off a Node, whoever it is and whatever it has earned.

    No evidence leads to this: an administrator does who takes nodeproof away.
    """

    gate_labels: frozenset[str]


Change = Raise | Lower | Withdraw


def desired(node: NodeView, assessment: Assessment, now: datetime) -> DesiredNode | None:
    """Return how a Node should be; None if it is none of our business.

    A Node that is being deleted gets no label and keeps its taint: its kubelet can hold it in that
    state by a finalizer. Control-plane nodes are never tainted.
    """
    if node.deleting:
        return DesiredNode(frozenset(), node.taint_effect)
    verdicts = [each for each in assessment.verdicts if each.enforced]
    if not verdicts:
        return DesiredNode(frozenset(), None) if assessment.released else None
    labels = frozenset(
        gate_label(each.policy_name) for each in verdicts if _labelled(each, node, now)
    )
    if node.control_plane:
        return DesiredNode(labels, None)
    effect = strongest(_effect(each, assessment, now) for each in verdicts)
    if any(each.outcome is Outcome.UNKNOWN for each in verdicts):
        effect = strongest((effect, node.taint_effect))
    return DesiredNode(labels, effect)


def change(node: NodeView, wanted: DesiredNode) -> Change | None:
    """Return what to do next to a Node, lowering before raising; None if it is as it should be."""
    extra = frozenset(node.gate_labels) - wanted.gate_labels
    stronger = strength(wanted.taint_effect) > strength(node.taint_effect)
    if extra or stronger:
        return Lower(extra, wanted.taint_effect if stronger else None)
    missing = frozenset(each for each in wanted.gate_labels if node.labels.get(each) != GATE_VALUE)
    weaker = strength(wanted.taint_effect) < strength(node.taint_effect)
    leftover = wanted.taint_effect is None and has_ours(node.taints)
    if missing or weaker or leftover:
        return Raise(missing, wanted.taint_effect)
    return None


def withdrawal(node: NodeView) -> Withdraw | None:
    """Return what of ours is on a Node; None if there is nothing."""
    if node.gate_labels or has_ours(node.taints):
        return Withdraw(frozenset(node.gate_labels))
    return None


def next_time(assessment: Assessment, now: datetime) -> datetime | None:
    """Return when time alone will ask for something else: an expiry, the end of a grace."""
    times = (each for verdict in assessment.verdicts for each in _times(verdict, assessment))
    return min((each for each in times if each > now), default=None)


def _labelled(verdict: Verdict, node: NodeView, now: datetime) -> bool:
    if verdict.passed:
        return True
    standing = verdict.expiration_time is not None and now < verdict.expiration_time
    # It is only ever kept: trouble of ours gives nobody a label.
    held = node.labels.get(gate_label(verdict.policy_name)) == GATE_VALUE
    return verdict.verifiers_trouble and standing and held


def _effect(verdict: Verdict, assessment: Assessment, now: datetime) -> str | None:
    if verdict.passed:
        return None
    if verdict.outcome is Outcome.FAILED or verdict.had_failed:
        return verdict.rules.failure_effect
    end = _grace_end(verdict, assessment)
    over = end is not None and end <= now
    return verdict.rules.failure_effect if over else TaintEffect.NO_SCHEDULE


def _grace_end(verdict: Verdict, assessment: Assessment) -> datetime | None:
    """Return when a silent node's taint takes the failure effect; None if it never does.

    Grace begins when the evidence expires or, if it stopped counting earlier, when that was seen.
    What a status says of that moment can only bring the end nearer.
    """
    if verdict.outcome is not Outcome.UNKNOWN or not verdict.had_passed:
        return None
    if verdict.expiration_time is None:
        return None
    begin = verdict.expiration_time
    if verdict.reason is not Reason.EXPIRED and assessment.attested.status is Status.UNKNOWN:
        begin = min(begin, assessment.attested.last_transition_time)
    return begin + timedelta(seconds=verdict.rules.unknown_grace_seconds)


def _times(verdict: Verdict, assessment: Assessment) -> Iterator[datetime]:
    for each in (
        verdict.expiration_time,
        verdict.finding.recheck_time,
        _grace_end(verdict, assessment),
    ):
        if each is not None:
            yield each
