"""Has AMD taken back an intermediate or a root? Its revocation lists tell (57230; RFC 5280, 5).

Every list is issued by a product's ARK and names certificates by serial number. A VEK cannot be
named: all of them have serial number 0. Chips go on a policy's deny list instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from nodeproof.errors import RevocationUnknown, SignerRevoked
from nodeproof.sevsnp.certificates import Certificate, Role, common_name
from nodeproof.sevsnp.chain import Chain
from nodeproof.sevsnp.profile import is_exact, signature_padding

MAX_CRL_SIZE = 1024 * 1024
"""Bytes of one list, DER or PEM; AMD's have about 900."""

_CACHED_LISTS = 16
_CACHED_SIGNATURES = 64
_DER_SEQUENCE = b"\x30"


@dataclass(frozen=True, slots=True, eq=False)
class RevocationList:
    """One list; equal only to itself, as caches need it."""

    der: bytes
    issuer: x509.Name
    this_update: datetime
    next_update: datetime | None
    """When the next list is due; AMD's lists always say so."""
    serials: frozenset[int]
    """The serial numbers of what is revoked."""
    partial: bool
    """It lists changes only (a delta), or some certificates only (of a distribution point)."""
    critical: tuple[str, ...]
    """OIDs of critical extensions, of the list or of an entry: whoever does not know them must not
    use the list (RFC 5280, section 5.2)."""
    signature: bytes
    signed: bytes
    """What the signature is over: the TBSCertList as received."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """AMD's lists, and how much depends on them.

    Whatever is asked for, a chain that a list names is refused, and so it stays after that list
    is superseded: AMD gives no certificate back.
    """

    crls: tuple[bytes, ...] = ()
    """Untrusted lists of any product, DER or PEM with one each; unusable ones do not count."""
    required: bool = False
    """Refuse where no usable list is at hand."""
    maximum_age: timedelta | None = None
    """How long after its thisUpdate a list can be used; None leaves it to its nextUpdate."""
    in_force_at: datetime | None = None
    """When a list must be in force, with a time zone; None: when the certificates must be. Evidence
    of a while ago is held against the list of today."""


NOT_REQUIRED = Revocation()
"""No lists and none required: nothing is said about revocation."""


def check_revocation(chain: Chain, revocation: Revocation, now: datetime) -> RevocationList | None:
    """Return the newest usable list, which does not name the chain; None if there is none.

    Args:
        chain: A chain that is good but for this.
        revocation: The lists.
        now: When certificates, and lists unless they say otherwise, must be in force.

    Raises:
        SignerRevoked: A list of the chain's root names the intermediate or the root.
        RevocationUnknown: A list is required, and none can be used.
    """
    own = [crl for crl in _readable(revocation.crls) if crl.issuer == chain.root.subject]
    usable, problems = [], []
    in_force_at = revocation.in_force_at or now
    for crl in own:
        try:
            _check_list(crl, chain, revocation.maximum_age, in_force_at)
            usable.append(crl)
        except RevocationUnknown as problem:
            problems.append(problem)
    if usable:
        return max(usable, key=lambda crl: crl.this_update)
    if revocation.required:
        raise problems[0] if problems else _missing(chain, len(revocation.crls))
    return None


def load_crl(data: bytes) -> RevocationList:
    """Return the revocation list in DER or PEM; it is not yet known who made it.

    Raises:
        RevocationUnknown: It has more than ``MAX_CRL_SIZE`` bytes or cannot be read.
    """
    if len(data) > MAX_CRL_SIZE:
        raise RevocationUnknown(
            "a revocation list is too large",
            expected=f"at most {MAX_CRL_SIZE} bytes",
            observed=f"{len(data)} bytes",
        )
    return _load(bytes(data))


@lru_cache(maxsize=_CACHED_LISTS)
def _load(data: bytes) -> RevocationList:
    try:
        if data.startswith(_DER_SEQUENCE):
            return _read(x509.load_der_x509_crl(data))
        return _read(x509.load_pem_x509_crl(data))
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise RevocationUnknown(
            "a revocation list cannot be read",
            expected="a CRL in DER or PEM",
            observed=f"{len(data)} bytes",
        ) from error


def _read(crl: x509.CertificateRevocationList) -> RevocationList:
    extensions = list(crl.extensions)
    kinds = (x509.DeltaCRLIndicator, x509.IssuingDistributionPoint)
    return RevocationList(
        der=crl.public_bytes(Encoding.DER),
        issuer=crl.issuer,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        serials=frozenset(entry.serial_number for entry in crl),
        partial=any(isinstance(extension.value, kinds) for extension in extensions),
        critical=tuple(_critical(crl)),
        signature=crl.signature,
        signed=crl.tbs_certlist_bytes,
    )


def _critical(crl: x509.CertificateRevocationList) -> Iterator[str]:
    for extensions in (crl.extensions, *(entry.extensions for entry in crl)):
        for extension in extensions:
            if extension.critical:
                yield extension.oid.dotted_string


def _readable(crls: Iterable[bytes]) -> Iterator[RevocationList]:
    for data in crls:
        with suppress(RevocationUnknown):
            yield load_crl(data)


def _missing(chain: Chain, given: int) -> RevocationUnknown:
    return RevocationUnknown(
        "no revocation list tells whether AMD has revoked the signer",
        expected=f"a list of {common_name(Role.ARK, chain.root.product)}",
        observed=f"{given} of others or unreadable" if given else "none",
    )


def check_list(crl: RevocationList, root: Certificate, now: datetime) -> None:
    """Check that a list is of a root that was checked, complete and in force, whomever it names.

    Raises:
        RevocationUnknown: It is not.
    """
    if crl.issuer != root.subject:
        raise RevocationUnknown(
            "a revocation list is another issuer's",
            expected=common_name(root.role, root.product),
            observed=crl.issuer.rfc4514_string()[:256],
        )
    _check_signature(crl, root)
    _check_scope(crl)
    _check_dates(crl, None, now)


def _check_list(
    crl: RevocationList, chain: Chain, maximum_age: timedelta | None, now: datetime
) -> None:
    _check_signature(crl, chain.root)
    _check_scope(crl)
    for certificate in (chain.intermediate, chain.root):
        _check_serial(crl, certificate)
    _check_dates(crl, maximum_age, now)


@lru_cache(maxsize=_CACHED_SIGNATURES)
def _check_signature(crl: RevocationList, root: Certificate) -> None:
    """Check who made a list; what passed is remembered, what did not is not."""
    if not _is_signed(crl, root):
        raise RevocationUnknown(
            "the signature on a revocation list is wrong",
            expected=f"signed by {root.role} {root.public_key_sha256}",
        )


def _is_signed(crl: RevocationList, root: Certificate) -> bool:
    key, usage = root.public_key, root.extensions.get_extension_for_class(x509.KeyUsage).value
    if not isinstance(key, RSAPublicKey) or not usage.crl_sign:
        return False
    try:
        key.verify(crl.signature, crl.signed, signature_padding(), SHA384())
    except InvalidSignature:
        return False
    return is_exact(crl.der, crl.signed, crl.signature)


def _check_scope(crl: RevocationList) -> None:
    if crl.partial or crl.critical:
        raise RevocationUnknown(
            "a revocation list does not speak for all of its issuer's certificates",
            expected="a complete list without critical extensions",
            observed=", ".join(crl.critical) or "a partial list",
        )


def _check_serial(crl: RevocationList, certificate: Certificate) -> None:
    if certificate.serial in crl.serials:
        raise SignerRevoked(
            f"AMD has revoked the {certificate.role} certificate",
            expected=f"serial number {certificate.serial:#x} on no list",
            observed=f"on the list of {crl.this_update.isoformat()}",
        )


def _check_dates(crl: RevocationList, maximum_age: timedelta | None, now: datetime) -> None:
    end = crl.next_update
    if end is not None and crl.this_update <= now <= end:
        age = now - crl.this_update
        if maximum_age is None or age <= maximum_age:
            return
        raise RevocationUnknown(
            "a revocation list is too old",
            expected=f"at most {maximum_age}",
            observed=str(age),
        )
    raise RevocationUnknown(
        "a revocation list is not in force",
        expected=f"{crl.this_update.isoformat()} to {end.isoformat() if end else 'a nextUpdate'}",
        observed=now.isoformat(),
    )
