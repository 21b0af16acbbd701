"""What every entry of the catalogue tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One question that appraisal asks of the evidence.

    Attributes:
        id: One CamelCase word; never renamed, because alerts and dashboards hold it.
        title: A few words for a table.
        fields: The fields of ``AttestationPolicy.spec`` that say what is acceptable.
        description: What the check compares, and what is at stake.
        remedy: What an administrator does about a failure.
    """

    id: str
    title: str
    fields: tuple[str, ...]
    description: str
    remedy: str
