"""A serving certificate that somebody else, cert-manager say, keeps up to date in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from nodeproof_operator.intake.ca_bundle import SETTLED, CABundle
from nodeproof_operator.intake.tls import CertificateUnreadable, check_pair, server_context, take

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """PEM files.

    Attributes:
        certificate: The serving certificate, and what chains it to its CA.
        key: Its key.
        ca: The CA that agents are to trust; None if they learn it in another way.
    """

    certificate: Path
    key: Path
    ca: Path | None = None


class CertificateFiles:
    """Shows the certificate in the files, and publishes its CA first.

    A certificate by a CA that agents may not know yet is shown later than it is found, as long as
    the one before still counts.

    Args:
        files: Where they are.
        bundle: Where the CA is published.
        clock: The time, with its zone.
    """

    refresh_seconds = 30.0

    def __init__(self, files: TLSFiles, bundle: CABundle, clock: Callable[[], datetime]) -> None:
        self.context = server_context()
        self._files = files
        self._bundle = bundle
        self._clock = clock
        self._shown: tuple[bytes, bytes] | None = None
        self._leaf: x509.Certificate | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a certificate to show."""
        return self._shown is not None

    async def refresh(self) -> None:
        """Publish the CA; take the certificate if it has changed.

        Raises:
            ApiError: The CA cannot be published.
            CertificateUnreadable: The files hold no certificate with its key and, if there is to be
                one, its CA; what is shown stays.
        """
        certificate, key = _read(self._files.certificate), _read(self._files.key)
        check_pair(certificate, key)
        chain = _certificates(certificate)
        trusted = _certificates(_read(self._files.ca)) if self._files.ca else []
        if trusted:
            _check_issued(chain, trusted)
            await self._bundle.publish(trusted)
        if self._shown == (certificate, key) or self._may_be_unknown(trusted):
            return
        take(self.context, certificate, key)
        self._shown, self._leaf = (certificate, key), chain[0]
        _log.info("serving certificate in use", path=str(self._files.certificate))

    def _may_be_unknown(self, trusted: Sequence[x509.Certificate]) -> bool:
        """Tell whether agents may not know these CAs yet, and need not."""
        if self._leaf is None or self._bundle.settled(trusted):
            return False
        return self._leaf.not_valid_after_utc > self._clock() + SETTLED


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateUnreadable("a TLS file cannot be read", observed=str(error)) from error


def _certificates(data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise CertificateUnreadable("not a PEM certificate", observed=str(error)) from None


def _check_issued(chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]) -> None:
    """Check that the CA is the certificate's: with another one no agent would ever come through."""
    if not any(_is_issued(each, ca) for each in chain for ca in trusted):
        raise CertificateUnreadable(
            "the certificate is not by a CA in the CA file",
            expected=", ".join(each.subject.rfc4514_string() for each in trusted),
            observed=chain[-1].issuer.rfc4514_string(),
        )


def _is_issued(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
