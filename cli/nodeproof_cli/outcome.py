"""What became of a report: the verifier's answer, kept with what could be read in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from nodeproof.errors import EndorsementsMissing, VerificationError
from nodeproof.sevsnp.certificates import Certificate
from nodeproof.sevsnp.crl import Revocation
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.statement import Statement, read_statement
from nodeproof.sevsnp.verify import VerifiedReport, verify
from nodeproof_cli.candidates import candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Genuine, with the claims, or refused, with the error; never both."""

    now: datetime
    """When certificates and lists had to be in force."""
    statement: Statement | None = None
    """What the report states, true or not; None if it could not be read."""
    claims: VerifiedReport | None = None
    error: VerificationError | None = None


def examine(
    report: bytes,
    pool: Sequence[Certificate],
    *,
    anchors: Sequence[TrustAnchor],
    now: datetime,
    revocation: Revocation,
) -> Outcome:
    """Return what becomes of a report with these certificates; raises nothing on any bytes."""
    try:
        statement = read_statement(report)
    except VerificationError as error:
        return Outcome(now=now, error=error)
    check = partial(
        verify, report, anchors=anchors, now=now, report_data=None, revocation=revocation
    )
    try:
        claims = _first_accepted(candidates(pool, statement, anchors, now), check)
    except VerificationError as error:
        return Outcome(now=now, statement=statement, error=error)
    return Outcome(now=now, statement=statement, claims=claims)


def _first_accepted(
    groups: Iterable[tuple[bytes, ...]], check: Callable[[tuple[bytes, ...]], VerifiedReport]
) -> VerifiedReport:
    """Return what the first group proves that proves something.

    Raises:
        VerificationError: None does; this is the error of the first, the most promising.
    """
    errors: list[VerificationError] = []
    for certificates in groups:
        try:
            return check(certificates)
        except VerificationError as error:
            errors.append(error)
    raise errors[0] if errors else EndorsementsMissing("there are no certificates")
