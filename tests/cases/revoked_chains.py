"""Chains with a revocation list: of the simulated Milan, good, bad and naming this or that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from cases.evidence import Evidence, flipped, vlek_evidence
from cases.reissued_certificates import Attributes, attributes, ca_recipe, under
from fakes import simulated
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.profile import signature_padding

_DAY = timedelta(days=1)
_MONTH = timedelta(days=30)
_ROOT = attributes("ARK-Milan")
_URL = "https://kdsintf.amd.com/vcek/v1/Milan/crl"


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """What a revocation list says, and how it is signed."""

    revoked: tuple[int, ...] = ()
    begin: datetime = simulated.NOW - _DAY
    end: datetime = simulated.NOW + _MONTH
    issuer: Attributes = _ROOT
    key: rsa.RSAPrivateKey | None = None
    """None for that of the root."""
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ((x509.CRLNumber(1), False),)
    """Each with whether it is critical."""
    padding: padding.AsymmetricPadding = field(default_factory=signature_padding)

    def issue(self) -> bytes:
        """Return the list in DER."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(x509.Name([x509.NameAttribute(*each) for each in self.issuer]))
            .last_update(self.begin)
            .next_update(self.end)
        )
        for serial in self.revoked:
            entry = x509.RevokedCertificateBuilder(serial, self.begin)
            builder = builder.add_revoked_certificate(entry.build())
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical=critical)
        key = self.key or simulated.authority(Product.MILAN).ark_key
        signed = builder.sign(key, SHA384(), rsa_padding=self.padding)  # type: ignore[arg-type] # any padding, also weak ones
        return signed.public_bytes(Encoding.DER)


def revocations() -> Iterator[Evidence]:
    """Yield about 60 chains that are held against a list."""
    vcek, vlek = _with_url(), vlek_evidence()
    for what, issued in _lists(vcek):
        crl = issued.issue()
        for evidence in (under(""), vcek, vlek):
            yield evidence.but(f"list {what}", crl=crl)
    crl = List().issue()
    for what, changed in (
        ("empty", b""),
        ("cut", crl[:-1]),
        ("with a byte more", crl + b"\0"),
        ("with a flipped date", flipped(crl, 8 * crl.index(b"Z") - 8)),
        ("with a flipped signature", flipped(crl, 8 * len(crl) - 1)),
    ):
        yield vcek.but(f"list {what}", crl=changed)


def _lists(evidence: Evidence) -> Iterator[tuple[str, List]]:
    root, ask = (_serial(evidence.certificates[place]) for place in (2, 1))
    asvk = _serial(vlek_evidence().certificates[1])
    for what, revoked in (
        ("of nothing", ()),
        ("of the ASK", (ask,)),
        ("of the ASVK", (asvk,)),
        ("of the root", (root,)),
        ("of every VEK's serial number", (1 << 159,)),
        ("of others", (1, 2, 3)),
    ):
        yield what, List(revoked=revoked)
    now = simulated.NOW
    yield "that has ended", List(begin=now - _MONTH, end=now - _DAY)
    yield "that has ended, of the ASK", List(revoked=(ask,), begin=now - _MONTH, end=now - _DAY)
    yield "that ends now", List(end=now)
    yield "that has not begun", List(begin=now + _DAY)
    yield "of another issuer", List(issuer=attributes("ARK-Genoa"))
    yield "by another key", List(key=simulated.authority(Product.MILAN).ask_key)
    yield "by another authority", List(key=simulated.impostor(Product.MILAN).ark_key)
    yield "signed with PKCS #1 1.5", List(padding=padding.PKCS1v15())
    delta, part = x509.DeltaCRLIndicator(1), _partial()
    for what, extension, critical in (
        ("of changes only", delta, True),
        ("of some certificates only", part, True),
        ("with a critical unknown", x509.UnrecognizedExtension(_OID, b"\5\0"), True),
        ("with an unknown", x509.UnrecognizedExtension(_OID, b"\5\0"), False),
    ):
        yield what, List(extensions=((x509.CRLNumber(1), False), (extension, critical)))


_OID = x509.ObjectIdentifier("1.2.3.4")


def _partial() -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=True,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def _with_url() -> Evidence:
    """Return a chain whose ASK says, as AMD's do, where the list is to be had."""
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(_URL)], None, None, None)
    recipe = ca_recipe(Role.ASK)
    points = (x509.CRLDistributionPoints([point]), False)
    ask = replace(recipe, extensions=(*recipe.extensions, points))
    return under("ASK with a URL", intermediate=ask.issue())


def _serial(certificate: bytes) -> int:
    return x509.load_der_x509_certificate(certificate).serial_number
