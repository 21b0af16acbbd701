"""Certificates of AMD's endorsement chain: loading, and whose they are.

The library parses a certificate piece by piece, whenever a piece is asked for. All pieces are asked
for here, once, so that the rest of the verifier meets no parser errors. What is the same in all of
AMD's certificates, names and signature algorithm, is recognised by its bytes: the library takes
longer over these than over the rest.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from itertools import starmap
from types import MappingProxyType

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from nodeproof.errors import CertificateMalformed
from nodeproof.sevsnp.algorithm import SignatureAlgorithm, read_algorithm
from nodeproof.sevsnp.der import elements
from nodeproof.sevsnp.products import Product

# Every VEK has serial number 0 (57230), which RFC 5280 forbids; and names that are not AMD's are
# passed over, not told of on standard error. The filters are the process's, not around each load,
# because warnings.catch_warnings is not safe between threads.
warnings.filterwarnings(
    "ignore",
    message="Parsed a serial number which wasn't positive",
    category=CryptographyDeprecationWarning,
)
warnings.filterwarnings("ignore", message="Attribute's length must be", category=UserWarning)

MAX_CERTIFICATE_SIZE = 16 * 1024
"""Bytes of one certificate, DER or PEM; AMD's have about 1,700 in DER and 2,300 in PEM."""

MAX_CERTIFICATES = 32
"""How many certificates are looked at for one report."""

_CACHED = 1024
_DER_SEQUENCE = b"\x30"
_VERSION_TAG = 0xA0


class Role(StrEnum):
    """What a certificate is for, by its subject (57230, 58369)."""

    ARK = "ARK"
    ASK = "ASK"
    ASVK = "ASVK"
    VCEK = "VCEK"
    VLEK = "VLEK"


INTERMEDIATES: Mapping[Role, Role] = MappingProxyType(
    {
        Role.VCEK: Role.ASK,
        Role.VLEK: Role.ASVK,
    }
)
"""Which intermediate signs which kind of VEK."""

_CA_NAMES: Mapping[Role, str] = MappingProxyType(
    {
        Role.ARK: "ARK-{}",
        Role.ASK: "SEV-{}",
        Role.ASVK: "SEV-VLEK-{}",
    }
)
_LEAF_NAMES: Mapping[Role, str] = MappingProxyType(
    {
        Role.VCEK: "SEV-VCEK",
        Role.VLEK: "SEV-VLEK",
    }
)


def common_name(role: Role, product: Product) -> str:
    """Return the common name of a certificate of this role; a VEK's does not name its product."""
    return _LEAF_NAMES[role] if role in _LEAF_NAMES else _CA_NAMES[role].format(product)


def issuer_role(role: Role) -> Role:
    """Return who signs certificates of this role; the ARK signs itself."""
    return INTERMEDIATES.get(role, Role.ARK)


_CA_ROLES = {
    common_name(role, product): (role, product) for role in _CA_NAMES for product in Product
}
_LEAF_ROLES = {name: role for role, name in _LEAF_NAMES.items()}


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose a certificate is, by its names."""

    role: Role
    product: Product
    subject: x509.Name
    issuer: x509.Name


NAME_ATTRIBUTES: Mapping[x509.ObjectIdentifier, str] = MappingProxyType(
    {
        NameOID.ORGANIZATIONAL_UNIT_NAME: "Engineering",
        NameOID.COUNTRY_NAME: "US",
        NameOID.LOCALITY_NAME: "Santa Clara",
        NameOID.STATE_OR_PROVINCE_NAME: "CA",
        NameOID.ORGANIZATION_NAME: "Advanced Micro Devices",
    }
)
"""What stands before the common name in each subject and issuer, in AMD's order."""


def distinguished_name(role: Role, product: Product) -> x509.Name:
    """Return the whole subject of a certificate of this role."""
    attributes = {**NAME_ATTRIBUTES, NameOID.COMMON_NAME: common_name(role, product)}
    return x509.Name([x509.NameAttribute(*each) for each in attributes.items()])


IDENTITIES: Mapping[tuple[Role, Product], Identity] = MappingProxyType(
    {
        (role, product): Identity(
            role=role,
            product=product,
            subject=distinguished_name(role, product),
            issuer=distinguished_name(issuer_role(role), product),
        )
        for role in Role
        for product in Product
    }
)
"""The names that AMD gives the certificates of each role and product."""

_BY_NAMES = {
    (each.subject.public_bytes(), each.issuer.public_bytes()): each for each in IDENTITIES.values()
}
"""The same by subject and issuer in DER."""


class Certificate(msgspec.Struct, frozen=True, eq=False):
    """One certificate of an endorsement chain; equal only to itself, as caches need it."""

    der: bytes
    role: Role
    product: Product
    """Whose chain it belongs to; of a VEK, by its issuer's name."""
    version: x509.Version
    serial: int
    """What a revocation list names it by; zero in every VEK."""
    subject: x509.Name
    issuer: x509.Name
    not_before: datetime
    not_after: datetime
    extensions: x509.Extensions
    public_key: CertificatePublicKeyTypes
    public_key_sha256: str
    """SHA-256 of SubjectPublicKeyInfo, 64 lower-case hexadecimal digits."""
    algorithm: SignatureAlgorithm
    signature: bytes
    signed: bytes
    """What the signature is over: the TBSCertificate as received."""


def load_certificates(certificates: Iterable[bytes]) -> tuple[Certificate, ...]:
    """Return AMD's certificates among those given, without duplicates; others are passed over.

    Each of the given may be DER, or PEM with one certificate or more.

    Raises:
        CertificateMalformed: There are more than ``MAX_CERTIFICATES``, or one has more than
            ``MAX_CERTIFICATE_SIZE`` bytes or cannot be read.
    """
    loaded: dict[bytes, Certificate] = {}
    for count, data in enumerate(certificates, start=1):
        _check_bounds(max(count, len(loaded)), len(data))
        for certificate in _load(bytes(data)):
            loaded[certificate.der] = certificate
    return tuple(loaded.values())


def _check_bounds(count: int, size: int) -> None:
    if count > MAX_CERTIFICATES or size > MAX_CERTIFICATE_SIZE:
        raise CertificateMalformed(
            "there are more or larger certificates than any platform hands out",
            expected=f"at most {MAX_CERTIFICATES}, of {MAX_CERTIFICATE_SIZE} bytes each",
            observed=f"{count} so far, the last of {size} bytes",
        )


@lru_cache(maxsize=_CACHED)
def _load(data: bytes) -> tuple[Certificate, ...]:
    try:
        return tuple(each for each in starmap(_read, _parse(data)) if each)
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise CertificateMalformed(
            "a certificate cannot be read",
            expected="an X.509 certificate in DER or PEM",
            observed=f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}",
        ) from error


def _parse(data: bytes) -> list[tuple[bytes, x509.Certificate]]:
    """Return each certificate in DER and as the library parses it."""
    if data.startswith(_DER_SEQUENCE):
        return [(data, x509.load_der_x509_certificate(data))]
    parsed = x509.load_pem_x509_certificates(data)
    return [(each.public_bytes(Encoding.DER), each) for each in parsed]


def _read(der: bytes, parsed: x509.Certificate) -> Certificate | None:
    """Return a certificate of AMD's; None if it is somebody else's."""
    signed, algorithm, _signature = elements(der)
    # In this order, behind a version that may be left out (RFC 5280, section 4.1).
    fields = (field for field in elements(signed) if field[0] != _VERSION_TAG)
    _serial, _algorithm, issuer, _validity, subject, key, *_ = fields
    identity = _BY_NAMES.get((subject, issuer)) or _identify(parsed)
    if identity is None:
        return None
    return Certificate(
        der=der,
        role=identity.role,
        product=identity.product,
        version=parsed.version,
        serial=parsed.serial_number,
        subject=identity.subject,
        issuer=identity.issuer,
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
        extensions=parsed.extensions,
        public_key=parsed.public_key(),
        public_key_sha256=hashlib.sha256(key).hexdigest(),
        algorithm=read_algorithm(algorithm, parsed),
        signature=parsed.signature,
        signed=signed,
    )


def _identify(parsed: x509.Certificate) -> Identity | None:
    """Return whose a certificate is, by its common names alone; None if it is not AMD's."""
    name, issuer_name = _name(parsed.subject), _name(parsed.issuer)
    if name in _CA_ROLES:
        return Identity(*_CA_ROLES[name], parsed.subject, parsed.issuer)
    if name in _LEAF_ROLES and issuer_name in _CA_ROLES:
        _, product = _CA_ROLES[issuer_name]
        return Identity(_LEAF_ROLES[name], product, parsed.subject, parsed.issuer)
    return None


def _name(name: x509.Name) -> str:
    attributes = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[0].value) if len(attributes) == 1 else ""
