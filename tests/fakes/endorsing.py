"""Certificates and lists that a test puts at hand, and a queue that only notes what is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from nodeproof.errors import (
    EndorsementsMissing,
    EndorsementsUnavailable,
    VerificationError,
)
from nodeproof.sevsnp.verify import VerifiedReport

RETRY_SECONDS = 42


@dataclass(frozen=True, slots=True)
class AtHand:
    """What is known for a report."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of ``fetch``."""

    report: bytes
    node_uid: str
    deadline: datetime | None
    reason: str


@dataclass(slots=True)
class FakeEndorsements:
    """What intake and enforcement see of endorsements.

    Attributes:
        fetchable: Whether the right VCEK can be asked for where a wrong one was shown.
    """

    certificates: tuple[bytes, ...] = ()
    lists: tuple[bytes, ...] = ()
    fetchable: bool = False
    revision: int = 0
    asked: list[Asked] = field(default_factory=list)
    noted: list[VerifiedReport] = field(default_factory=list)

    def learn(self, *lists: bytes) -> None:
        """Put further revocation lists at hand."""
        self.lists += lists
        self.revision += 1

    def known(self, report: bytes) -> AtHand:
        assert isinstance(report, bytes)
        return AtHand(self.certificates, self.lists)

    def crls(self) -> tuple[bytes, ...]:
        return self.lists

    def fetch(
        self, report: bytes, node_uid: str, deadline: datetime | None, error: VerificationError
    ) -> EndorsementsUnavailable | None:
        self.asked.append(Asked(report, node_uid, deadline, error.reason))
        if not self.fetchable and not isinstance(error, EndorsementsMissing):
            return None
        return EndorsementsUnavailable(
            "AMD's certificates are not at hand",
            retry_after_seconds=RETRY_SECONDS,
            expected="a VCEK",
        )

    def note(self, claims: VerifiedReport) -> None:
        self.noted.append(claims)
