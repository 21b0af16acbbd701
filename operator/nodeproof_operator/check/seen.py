"""Everything that the check has read, before anybody judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodeproof_operator.check.rights import Right
from nodeproof_operator.cluster.errors import ApiError
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.kinds import Kind

Answer = Json | ApiError
"""One object, or why it could not be had."""

Answers = Sequence[Json] | ApiError
"""A list of objects, or why it could not be had."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an installation is.

    Attributes:
        namespace: The operator's.
        agent_namespace: The agents'.
        url: The evidence service.
    """

    namespace: str
    agent_namespace: str
    url: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at an installation.

    Attributes:
        place: Where it is.
        crds: The CustomResourceDefinitions.
        admission: Each ValidatingAdmissionPolicy and its binding, by their name.
        rights: Which rights the operator has.
        lease_renewed: Whether the Lease changed while it was looked at.
        service_trouble: Why the evidence service does not answer as it should, empty if it does.
    """

    place: Place
    crds: Mapping[Kind, Answer]
    admission: Mapping[str, tuple[Answer, Answer]]
    rights: Mapping[Right, bool | ApiError]
    deployment: Answer
    operator_pods: Answers
    lease: Answer
    lease_renewed: bool
    ca: Answer
    service_trouble: str
    daemon_set: Answer
    agent_pods: Answers
    nodes: Answers
    runtime_classes: Answers
    policies: Answers
    results: Answers
