"""How a certificate says that it was signed; AMD's all say the same (57230, 58369)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA384, HashAlgorithm
from cryptography.x509.oid import SignatureAlgorithmOID

SALT_SIZE = 48
"""Bytes of salt in AMD's RSASSA-PSS signatures: as many as SHA-384 has."""

PADDING = PSS(mgf=MGF1(SHA384()), salt_length=SALT_SIZE)
"""The padding of every signature of AMD's on certificates and revocation lists."""


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """What an AlgorithmIdentifier says."""

    oid: x509.ObjectIdentifier
    hash: HashAlgorithm | None
    parameters: PSS | PKCS1v15 | ECDSA | None


AMD_ALGORITHM = SignatureAlgorithm(SignatureAlgorithmOID.RSASSA_PSS, SHA384(), PADDING)
"""How AMD signs certificates."""

_PSS = "06092a864886f70d01010a"
_PARAMETERS = (
    "a00f300d06096086480165030402020500"
    "a11c301a06092a864886f70d010108300d06096086480165030402020500"
    "a203020130"
)
_IN_DER = {
    bytes.fromhex(f"3041{_PSS}3034{_PARAMETERS}"): AMD_ALGORITHM,
    bytes.fromhex(f"3046{_PSS}3039{_PARAMETERS}a303020101"): AMD_ALGORITHM,
}
"""The two ways in which AMD writes that: without trailer field and with (RFC 4055, section 3.1)."""


def read_algorithm(der: bytes, parsed: x509.Certificate) -> SignatureAlgorithm:
    """Return what a certificate's AlgorithmIdentifier says; the library reads what AMD never wrote.

    Raises:
        ValueError, TypeError, UnsupportedAlgorithm: It cannot be read.
    """
    return _IN_DER.get(der) or SignatureAlgorithm(
        oid=parsed.signature_algorithm_oid,
        hash=parsed.signature_hash_algorithm,
        parameters=parsed.signature_algorithm_parameters,
    )
