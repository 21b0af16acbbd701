"""Label selectors, as Kubernetes understands them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nodeproof.policy.spec import Spec
from nodeproof.policy.vocabulary import SelectorOperator


class SelectorTerm(Spec, frozen=True):
    """One of a label selector's ``matchExpressions``."""

    key: str
    operator: SelectorOperator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels satisfy this term, as Kubernetes would."""
        present = self.key in labels
        if self.operator is SelectorOperator.EXISTS:
            return present
        if self.operator is SelectorOperator.DOES_NOT_EXIST:
            return not present
        listed = present and labels[self.key] in self.values
        return listed if self.operator is SelectorOperator.IN else not listed


class LabelSelector(Spec, frozen=True):
    """A Kubernetes label selector; an empty one selects everything."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)
    match_expressions: tuple[SelectorTerm, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            term.matches(labels) for term in self.match_expressions
        )
