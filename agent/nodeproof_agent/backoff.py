"""How long to wait after failures."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

FIRST_SECONDS = 1.0
MAX_SECONDS = 60.0
"""A node is back within about a minute of its operator, well within any result's life."""

MAX_RETRY_AFTER_SECONDS = 600.0
"""What an operator can ask for at most: no answer silences an agent for long."""

_MAX_EXPONENT = 16


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: a fleet that fails together does not return together.

    Attributes:
        random: Where the jitter comes from.
    """

    random: Random

    def delay(self, failures: int, retry_after_seconds: float | None = None) -> float:
        """Return the seconds to wait after so many failures in a row, at least one.

        ``retry_after_seconds`` is the least of them; the jitter comes on top.
        """
        ceiling = min(MAX_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, _MAX_EXPONENT))
        asked = min(max(retry_after_seconds or 0.0, 0.0), MAX_RETRY_AFTER_SECONDS)
        return asked + self.random.uniform(0, ceiling)
