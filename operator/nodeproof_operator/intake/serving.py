"""The evidence service's own CA and certificate: what there should be at a time. No I/O.

The successor of a CA is published long before it issues anything: by then every agent trusts both,
and the change of the serving certificate goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFE = timedelta(days=5 * 365)
CA_ANNOUNCED = timedelta(days=90)
"""Before a CA's end, when its successor is made and published."""
CA_SETTLED = timedelta(days=1)
"""From a successor's publication to its first certificate; kubelets hand it out in minutes."""

LEAF_LIFE = timedelta(days=30)
LEAF_RENEWAL = timedelta(days=20)
"""The age at which a serving certificate is replaced."""

BACKDATED = timedelta(minutes=5)
"""How far agents' clocks may be behind ours."""

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Names:
    """Whom a serving certificate names (RFC 5280, section 4.2.1.6)."""

    dns: frozenset[str]
    addresses: frozenset[Address] = frozenset()

    def __or__(self, other: Names) -> Names:
        return Names(self.dns | other.dns, self.addresses | other.addresses)

    def covers(self, other: Names) -> bool:
        """Whether all of the other's names are among these."""
        return self.dns >= other.dns and self.addresses >= other.addresses


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, EC on P-256."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Serving:
    """What the replicas share.

    Attributes:
        ca: The CA that issues.
        successor: The CA that will, published already; None for most of the time.
        retired: CAs that issue no more and are published until their end.
        leaf: The certificate that the service shows.
    """

    ca: KeyPair
    successor: KeyPair | None
    retired: tuple[x509.Certificate, ...]
    leaf: KeyPair

    @property
    def trusted(self) -> tuple[x509.Certificate, ...]:
        """What agents should trust, the issuing CA first."""
        following = (self.successor.certificate,) if self.successor else ()
        return (self.ca.certificate, *following, *self.retired)


def service_names(service: str, namespace: str, extra: Iterable[str] = ()) -> Names:
    """Return the names under which a Service is reached, and further names or addresses."""
    local = f"{service}.{namespace}"
    dns = {service, local, f"{local}.svc", f"{local}.svc.cluster.local"}
    addresses = set()
    for each in extra:
        try:
            addresses.add(ip_address(each))
        except ValueError:
            dns.add(each)
    return Names(frozenset(dns), frozenset(addresses))


def maintain(serving: Serving | None, names: Names, now: datetime) -> Serving:
    """Return what there should be now: the argument itself if nothing is due."""
    if serving is None:
        ca = make_ca(now)
        return Serving(ca, None, (), make_leaf(ca, names, now))
    return _with_leaf(_with_ca(serving, now), names, now)


def names_of(certificate: x509.Certificate) -> Names:
    """Return whom a serving certificate of ours names."""
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return Names(
        frozenset(san.get_values_for_type(x509.DNSName)),
        frozenset(
            each
            for each in san.get_values_for_type(x509.IPAddress)
            if isinstance(each, IPv4Address | IPv6Address)
        ),
    )


def _with_ca(serving: Serving, now: datetime) -> Serving:
    retired = tuple(each for each in serving.retired if each.not_valid_after_utc > now)
    if retired != serving.retired:
        serving = replace(serving, retired=retired)
    left = serving.ca.certificate.not_valid_after_utc - now
    if left > CA_ANNOUNCED:
        return serving
    successor = serving.successor or make_ca(now)
    settled = now - _issued(successor.certificate) >= CA_SETTLED
    if not settled and left > timedelta(0):
        return serving if serving.successor else replace(serving, successor=successor)
    retired = (serving.ca.certificate, *retired) if left > timedelta(0) else retired
    return replace(serving, ca=successor, successor=None, retired=retired)


def _with_leaf(serving: Serving, names: Names, now: datetime) -> Serving:
    certificate = serving.leaf.certificate
    known = names_of(certificate)
    if now - _issued(certificate) >= LEAF_RENEWAL or not _issued_by(certificate, serving.ca):
        return replace(serving, leaf=make_leaf(serving.ca, names, now))
    if not known.covers(names):
        # Together, so that replicas with different names do not replace each other's for ever.
        return replace(serving, leaf=make_leaf(serving.ca, names | known, now))
    return serving


def _issued_by(certificate: x509.Certificate, ca: KeyPair) -> bool:
    try:
        certificate.verify_directly_issued_by(ca.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _issued(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_before_utc + BACKDATED


def make_ca(now: datetime) -> KeyPair:
    """Return a new CA, which may issue serving certificates only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"nodeproof CA {now:%Y-%m-%d}")])
    certificate = (
        _builder(name, key.public_key(), now, CA_LIFE)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(key, SHA256())
    )
    return KeyPair(certificate, key)


def make_leaf(ca: KeyPair, names: Names, now: datetime) -> KeyPair:
    """Return a new serving certificate for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nodeproof evidence service")])
    san: list[x509.GeneralName] = [x509.DNSName(each) for each in sorted(names.dns)]
    san += [x509.IPAddress(each) for each in sorted(names.addresses, key=str)]
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    certificate = (
        _builder(subject, key.public_key(), now, LEAF_LIFE)
        .issuer_name(ca.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(san), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca.key, SHA256())
    )
    return KeyPair(certificate, key)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
