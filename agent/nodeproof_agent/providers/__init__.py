"""Where reports come from: what every provider does; ``selection`` chooses one.

A provider's calls block, for seconds when firmware is busy or throttles; ``worker.Platform`` calls
it from threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PlatformEvidence:
    """What the platform answers.

    Attributes:
        report: The attestation report, 1,184 bytes.
        certificates: The host's certificate table (AMD 56421, extended guest request), or empty.
    """

    report: bytes
    certificates: bytes = b""


class Provider(Protocol):
    """One kind of platform. Whatever its calls raise means that there is no evidence now."""

    @property
    def name(self) -> str:
        """The provider's name in logs and metrics."""

    def boot_id(self) -> str:
        """Return the ID of this boot (``/proc/sys/kernel/random/boot_id``)."""

    def attest(self, report_data: bytes) -> PlatformEvidence:
        """Return a report over these 64 bytes."""
