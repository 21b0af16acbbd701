"""Which policies have a say about a Node, and which have let go of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodeproof.errors import PolicyInvalid
from nodeproof.policy import Policy
from nodeproof.result import PolicyResult, Reason
from nodeproof_operator.cluster.objects import GATE_PREFIX
from nodeproof_operator.cluster.views import NodeView, Record

Policies = Mapping[str, Policy | PolicyInvalid]
"""All AttestationPolicies by name; one that cannot be read is represented by its error."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One policy that has a say about a Node."""

    name: str
    policy: Policy | PolicyInvalid
    enforced: bool
    """Whether it labels and taints this Node; of an unreadable policy: whether it seems to have."""
    left: bool = False
    """The Node took itself out of the policy's selector."""


def gate_label(policy_name: str) -> str:
    """Return the key of the label that a policy gives to Nodes which pass."""
    return GATE_PREFIX + policy_name


def select(node: NodeView, record: Record | None, policies: Policies) -> tuple[Selection, ...]:
    """Return the policies that have a say, by name.

    A policy which no longer selects a Node still has a say if it was the Node that changed: the
    policy is of the generation that was applied last. If the policy changed, an admin narrowed it.
    An unreadable policy, whose selector nobody knows, has one where it left its name.
    """
    named = _named(record)
    found = (_selection(node, name, policies[name], named.get(name)) for name in sorted(policies))
    return tuple(each for each in found if each is not None)


def released(
    node: NodeView, record: Record | None, policies: Policies, selections: Sequence[Selection]
) -> bool:
    """Tell whether some policy that may have labelled or tainted this Node has let go of it.

    It was deleted, turned to Audit, or narrowed by an admin.
    """
    held = {each.name for each in selections if each.enforced}
    named = _named(record)
    labelled = {label.removeprefix(GATE_PREFIX) for label in node.gate_labels}
    return bool(labelled - held) or any(
        _lets_go(policies.get(name), result) for name, result in named.items() if name not in held
    )


def _named(record: Record | None) -> Mapping[str, PolicyResult]:
    return {each.name: each for each in record.status.policies} if record else {}


def _selection(
    node: NodeView, name: str, policy: Policy | PolicyInvalid, last: PolicyResult | None
) -> Selection | None:
    if isinstance(policy, PolicyInvalid):
        labelled = gate_label(name) in node.labels
        if not labelled and last is None:
            return None
        return Selection(name, policy, enforced=labelled or node.taint_effect is not None)
    if policy.spec.node_selector.matches(node.labels):
        return Selection(name, policy, policy.enforced)
    if policy.enforced and last is not None and _node_left(policy, last):
        return Selection(name, policy, enforced=True, left=True)
    return None


def _node_left(policy: Policy, last: PolicyResult) -> bool:
    return last.reason is Reason.SELECTOR_LEFT or last.observed_generation == policy.generation


def _lets_go(policy: Policy | PolicyInvalid | None, last: PolicyResult) -> bool:
    if policy is None:
        return True
    return isinstance(policy, Policy) and last.observed_generation != policy.generation
