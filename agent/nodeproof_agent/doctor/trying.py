"""Asks the provider for one real report, and reads what came back; nobody vouches for it here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nodeproof.errors import VerificationError
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.statement import Statement, read_statement
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers import PlatformEvidence, Provider

REPORT_DATA_BYTES = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of asking.

    Attributes:
        provider: Who was asked.
        failure: Why there is no report; None if there is one.
        statement: What the report states; None if it cannot be read.
        unread: Why it, or the table of certificates, cannot be read; the operator could not either.
        certificates: The roles of the certificates that came along, such as ``VCEK``.
    """

    provider: str
    failure: ProviderFailed | None = None
    statement: Statement | None = None
    unread: VerificationError | None = None
    certificates: tuple[str, ...] = ()


def attempt(provider: Provider, random: Callable[[int], bytes]) -> Attempt:
    """Ask for one report over random REPORT_DATA: one request to the firmware."""
    try:
        evidence = provider.attest(random(REPORT_DATA_BYTES))
    except ProviderFailed as failure:
        return Attempt(provider.name, failure)
    except Exception as error:  # noqa: BLE001 - a provider is a driver: whatever it raises is the answer
        return Attempt(provider.name, _unexpected(error))
    return _read(provider.name, evidence)


def _read(name: str, evidence: PlatformEvidence) -> Attempt:
    statement = None
    try:
        statement = read_statement(evidence.report)
        return Attempt(name, statement=statement, certificates=_roles(evidence.certificates))
    except VerificationError as error:
        return Attempt(name, statement=statement, unread=error)


def _roles(table: bytes) -> tuple[str, ...]:
    found = load_certificates(parse_certificate_table(table))
    return tuple(certificate.role.value for certificate in found)


def _unexpected(error: Exception) -> ProviderFailed:
    return ProviderFailed(
        "the platform gave no evidence",
        cause=Cause.INTERNAL_ERROR,
        observed=f"{type(error).__name__}: {error}",
    )
