"""Certificates of AMD's endorsement chain: loading, and whose they are.

The library parses a certificate piece by piece, whenever a piece is asked for. All pieces are asked
for here, once, so that the rest of the verifier meets no parser errors.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from nodeproof.errors import CertificateMalformed
from nodeproof.sevsnp.products import Product

# Every VEK has serial number 0 (57230), which RFC 5280 forbids. The filter is the process's, not
# one around each load, because warnings.catch_warnings is not safe between threads.
warnings.filterwarnings(
    "ignore",
    message="Parsed a serial number which wasn't positive",
    category=CryptographyDeprecationWarning,
)

MAX_CERTIFICATE_SIZE = 16 * 1024
"""Bytes of one certificate, DER or PEM; AMD's have about 1,700 in DER and 2,300 in PEM."""

MAX_CERTIFICATES = 32
"""How many certificates are looked at for one report."""

_CACHED = 1024
_DER_SEQUENCE = b"\x30"


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


_CA_ROLES = {
    common_name(role, product): (role, product) for role in _CA_NAMES for product in Product
}
_LEAF_ROLES = {name: role for role, name in _LEAF_NAMES.items()}


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """How a certificate says that it was signed."""

    oid: x509.ObjectIdentifier
    hash: HashAlgorithm | None
    parameters: PSS | PKCS1v15 | ECDSA | None


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
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
        loaded.update((certificate.der, certificate) for certificate in _load(bytes(data)))
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
        if data.startswith(_DER_SEQUENCE):
            parsed = [x509.load_der_x509_certificate(data)]
        else:
            parsed = x509.load_pem_x509_certificates(data)
        return tuple(_read(each, *identity) for each in parsed if (identity := _identify(each)))
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


def _identify(certificate: x509.Certificate) -> tuple[Role, Product] | None:
    """Return what a certificate is for, going by its names; None if it is not AMD's."""
    subject = _name(certificate.subject)
    if subject in _CA_ROLES:
        return _CA_ROLES[subject]
    leaf, issuer = _LEAF_ROLES.get(subject), _CA_ROLES.get(_name(certificate.issuer))
    if leaf is None or issuer is None:
        return None
    return leaf, issuer[1]


def _name(name: x509.Name) -> str:
    attributes = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[0].value) if len(attributes) == 1 else ""


def _read(certificate: x509.Certificate, role: Role, product: Product) -> Certificate:
    public_key = certificate.public_key()
    info = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Certificate(
        der=certificate.public_bytes(Encoding.DER),
        role=role,
        product=product,
        version=certificate.version,
        serial=certificate.serial_number,
        subject=certificate.subject,
        issuer=certificate.issuer,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        extensions=certificate.extensions,
        public_key=public_key,
        public_key_sha256=hashlib.sha256(info).hexdigest(),
        algorithm=SignatureAlgorithm(
            oid=certificate.signature_algorithm_oid,
            hash=certificate.signature_hash_algorithm,
            parameters=certificate.signature_algorithm_parameters,
        ),
        signature=certificate.signature,
        signed=certificate.tbs_certificate_bytes,
    )
