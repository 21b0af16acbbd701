"""What a report is held against besides itself: AMD's certificates and lists, from both sides.

The host's certificates come with the submission, ours from wherever they were found. None of them
is believed: each must lead to a pinned root.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from nodeproof.errors import CertificateMalformed, EndorsementsUnavailable, VerificationError
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.verify import VerifiedReport

MAX_SUBMITTED = 16
"""Certificates in a submission: half of what verification takes, so that ours always have room.
Hosts hand out three."""

MAX_KNOWN = 16
"""Certificates of ours for one report; those that fit best come first."""


class Known(Protocol):
    """What is known that a report may be judged by."""

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """Untrusted certificates, those that fit best first."""
        ...

    @property
    def crls(self) -> tuple[bytes, ...]:
        """AMD's revocation lists."""
        ...


class Endorsements(Protocol):
    """Where certificates and lists are found (``endorsements.source.Endorsements``)."""

    def known(self, report: bytes) -> Known:
        """Return what is at hand for a report; never raises, whatever the bytes."""
        ...

    def fetch(
        self, report: bytes, node_uid: str, deadline: datetime | None, error: VerificationError
    ) -> EndorsementsUnavailable | None:
        """Queue what may help against ``error``; None if nothing can: then it stands.

        Args:
            report: The report that could not be judged.
            node_uid: Whose report it is.
            deadline: When the node's live result ends; None if it has none.
            error: EndorsementsMissing or EndorsementMismatch.
        """
        ...

    def note(self, claims: VerifiedReport) -> None:
        """Learn what the fleet runs on, to have what it will need in time."""
        ...


def submitted_certificates(table: bytes) -> tuple[bytes, ...]:
    """Return AMD's certificates, as DER, in the table that came with a report.

    Raises:
        CertificateMalformed: The table or a certificate cannot be read, or there are too many.
    """
    found = load_certificates(parse_certificate_table(table))
    if len(found) > MAX_SUBMITTED:
        raise CertificateMalformed(
            "the certificate table holds more certificates than any host hands out",
            expected=f"at most {MAX_SUBMITTED}",
            observed=str(len(found)),
        )
    return tuple(each.der for each in found)


def known_certificates(certificates: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return, as DER, the first of our certificates; one that cannot be read harms nobody."""
    return tuple(_readable(certificates))[:MAX_KNOWN]


def _readable(certificates: Iterable[bytes]) -> Iterator[bytes]:
    for data in certificates:
        with suppress(CertificateMalformed):
            yield from (each.der for each in load_certificates([data]))
