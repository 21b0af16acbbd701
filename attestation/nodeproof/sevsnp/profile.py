"""What AMD's certificates look like (57230 and 58369, certificate definitions; RFC 5280).

Checked on each certificate by itself, before anybody asks who signed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from nodeproof.errors import ChainInvalid
from nodeproof.sevsnp.algorithm import AMD_ALGORITHM, PADDING, SALT_SIZE
from nodeproof.sevsnp.certificates import IDENTITIES, INTERMEDIATES, Certificate, Role

RSA_KEY_SIZE = 4096
"""Bits of an ARK, ASK or ASVK."""

RSA_EXPONENT = 65537
"""Public exponent of an ARK, ASK or ASVK."""

_ALGORITHM = f"RSASSA-PSS with SHA-384, MGF1 with SHA-384, {SALT_SIZE} bytes of salt"

_BIT_STRING = bytes.fromhex("0382020100")
"""Tag, length and unused bits of a signature of ``RSA_KEY_SIZE`` in DER (X.690, section 8.6)."""

_CONSTRAINTS: Mapping[Role, x509.BasicConstraints] = MappingProxyType(
    {
        Role.ARK: x509.BasicConstraints(ca=True, path_length=None),
        Role.ASK: x509.BasicConstraints(ca=True, path_length=0),
        Role.ASVK: x509.BasicConstraints(ca=True, path_length=0),
    }
)


def signature_padding() -> PSS:
    """Return the padding of every signature on AMD's certificates."""
    return PADDING


def check_profile(certificate: Certificate) -> None:
    """Check a certificate against AMD's profile of its role; a VEK's extensions are read elsewhere.

    Raises:
        ChainInvalid: It differs from the profile.
    """
    _require(certificate, "X.509 version", x509.Version.v3.name, certificate.version.name)
    _check_names(certificate)
    _check_algorithm(certificate)
    _check_unsigned(certificate)
    if certificate.role in INTERMEDIATES:
        _check_leaf_key(certificate)
    else:
        _check_ca_key(certificate)
        _check_ca_extensions(certificate)


def _check_names(certificate: Certificate) -> None:
    wanted = IDENTITIES[certificate.role, certificate.product]
    for what, name, expected in (
        ("subject", certificate.subject, wanted.subject),
        ("issuer", certificate.issuer, wanted.issuer),
    ):
        if name != expected:
            raise ChainInvalid(
                f"the {what} of the {certificate.role} certificate is not AMD's",
                expected=expected.rfc4514_string(),
                observed=name.rfc4514_string()[:256],
            )


def _check_algorithm(certificate: Certificate) -> None:
    as_wanted = certificate.algorithm == AMD_ALGORITHM
    _require(certificate, "signature algorithm", _ALGORITHM, _ALGORITHM if as_wanted else "another")


def is_exact(der: bytes, signed: bytes, signature: bytes) -> bool:
    """Tell whether what stands around the signed bytes can be nothing else.

    The algorithm outside must be the one inside, to the byte (RFC 5280, sections 4.1.1.2 and
    5.1.1.2); the signature is a whole number of bytes. The whole is then unchanged if its signature
    is good.
    """
    algorithm, marker, _ = der.partition(signed)[2].partition(_BIT_STRING + signature)
    return bool(marker) and algorithm in signed


def _check_unsigned(certificate: Certificate) -> None:
    exact = is_exact(certificate.der, certificate.signed, certificate.signature)
    _require(certificate, "unsigned bytes", "DER", "DER" if exact else "another encoding")


def _check_leaf_key(certificate: Certificate) -> None:
    key = certificate.public_key
    on_curve = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP384R1)
    _require(certificate, "key", "EC on P-384", "EC on P-384" if on_curve else "another")


def _check_ca_key(certificate: Certificate) -> None:
    key = certificate.public_key
    observed = "another kind of key"
    if isinstance(key, RSAPublicKey):
        observed = f"RSA {key.key_size}, exponent {key.public_numbers().e}"
    _require(certificate, "key", f"RSA {RSA_KEY_SIZE}, exponent {RSA_EXPONENT}", observed)


def _check_ca_extensions(certificate: Certificate) -> None:
    constraints = usage = False
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints):
            constraints = extension.critical and value == _CONSTRAINTS[certificate.role]
        elif isinstance(value, x509.KeyUsage):
            usage = extension.critical and value.key_cert_sign
        elif extension.critical:
            _require(certificate, "critical extension", "none", extension.oid.dotted_string)
    _require(certificate, "basicConstraints", "as of AMD's CA", _fits(constraints))
    _require(certificate, "keyUsage", "as of AMD's CA", _fits(usage))


def _fits(fits: bool) -> str:  # noqa: FBT001 - a fact to be put into words, not a switch
    return "as of AMD's CA" if fits else "different or missing"


def _require(certificate: Certificate, what: str, expected: str, observed: str) -> None:
    if observed != expected:
        raise ChainInvalid(
            f"the {certificate.role} certificate breaks AMD's profile: {what}",
            expected=expected,
            observed=observed,
        )
