"""What is recognised by its bytes, or cut out of them, is what the library reads in full."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fakes.genuine import Vector
from nodeproof.sevsnp.algorithm import AMD_ALGORITHM, SignatureAlgorithm
from nodeproof.sevsnp.certificates import IDENTITIES, load_certificates

pytestmark = pytest.mark.vectors


def test_reads_what_the_library_reads(vector: Vector) -> None:
    for loaded in load_certificates([*vector.certificates, *vector.reissues]):
        parsed = x509.load_der_x509_certificate(loaded.der)
        key = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert (loaded.subject, loaded.issuer) == (parsed.subject, parsed.issuer)
        assert loaded.signed == parsed.tbs_certificate_bytes
        assert loaded.public_key_sha256 == hashlib.sha256(key).hexdigest()
        assert loaded.algorithm == SignatureAlgorithm(
            parsed.signature_algorithm_oid,
            parsed.signature_hash_algorithm,
            parsed.signature_algorithm_parameters,
        )


def test_recognises_all_names_and_algorithms(vector: Vector) -> None:
    for loaded in load_certificates([*vector.certificates, *vector.reissues]):
        assert loaded.subject is IDENTITIES[loaded.role, loaded.product].subject
        assert loaded.algorithm is AMD_ALGORITHM
