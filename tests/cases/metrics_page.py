"""What an operator's metrics page says."""

from __future__ import annotations

import urllib3
from prometheus_client.parser import text_string_to_metric_families

_ASK_SECONDS = 5.0


def sample(metrics_url: str, name: str, **labels: str) -> float | None:
    """Return the sum of all samples of this name with these labels; None if there is none."""
    # A connection of its own each time: a server that was stopped meanwhile closes what it kept.
    answer = urllib3.request(
        "GET",
        f"{metrics_url}/metrics",
        headers={"Connection": "close"},
        retries=False,
        timeout=_ASK_SECONDS,
    )
    values = [
        each.value
        for family in text_string_to_metric_families(answer.data.decode())
        for each in family.samples
        if each.name == name and labels.items() <= each.labels.items()
    ]
    return sum(values) if values else None
