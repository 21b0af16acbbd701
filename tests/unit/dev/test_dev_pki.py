from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from nodeproof_dev.pki import Authority, KeyPair, signing_keys

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def certificate_of(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.encode())


def names_of(pair: KeyPair, oid: x509.ObjectIdentifier) -> list[object]:
    return [each.value for each in certificate_of(pair).subject.get_attributes_for_oid(oid)]


def test_a_client_certificate_names_user_and_groups() -> None:
    pair = Authority("test", NOW).client("system:node:n1", ["system:nodes"])
    assert names_of(pair, NameOID.COMMON_NAME) == ["system:node:n1"]
    assert names_of(pair, NameOID.ORGANIZATION_NAME) == ["system:nodes"]


def test_a_certificate_is_issued_by_its_authority() -> None:
    authority = Authority("test", NOW)
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    certificate_of(authority.client("user")).verify_directly_issued_by(issuer)


def test_a_serving_certificate_names_hosts_and_addresses() -> None:
    pair = Authority("test", NOW).server(["localhost"], ["127.0.0.1"])
    names = certificate_of(pair).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_a_certificate_is_valid_now() -> None:
    certificate = certificate_of(Authority("test", NOW).client("user"))
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc


def test_private_keys_are_not_shown() -> None:
    for pair in (signing_keys(), Authority("test", NOW).client("user")):
        load_pem_private_key(pair.key.encode(), None)
        assert "PRIVATE" not in repr(pair)
