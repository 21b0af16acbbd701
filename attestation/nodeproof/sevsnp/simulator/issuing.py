"""Certificates as AMD issues them (57230: names, profile and extensions), under simulated keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from nodeproof.sevsnp.certificates import Role, distinguished_name, issuer_role
from nodeproof.sevsnp.extensions import AMD_ARC
from nodeproof.sevsnp.products import HW_ID_SIZES, STRUCT_VERSIONS, Product
from nodeproof.sevsnp.profile import signature_padding
from nodeproof.sevsnp.tcb import TCBVersion

CA_LIFE = timedelta(days=25 * 365)
"""How long an ARK, ASK or ASVK is valid."""

VCEK_LIFE = timedelta(days=7 * 365)
"""How long a VCEK is valid."""

CRL_LIFE = timedelta(days=45)
"""How long a revocation list is in force; AMD's take a month and a half, some a year."""

_BACKDATED = timedelta(days=1)
"""Certificates begin before they are made, so that a clock which lags does not refuse them."""

_PRODUCT_NAMES: Mapping[Product, str] = MappingProxyType(
    {
        Product.MILAN: "Milan-B0",
        Product.GENOA: "Genoa",
        Product.TURIN: "Turin",
    }
)
_FIRST_SERIALS: Mapping[Product, int] = MappingProxyType(
    {
        Product.MILAN: 0x10000,
        Product.GENOA: 0x20000,
        Product.TURIN: 0x30000,
    }
)
_SERIAL_OFFSETS: Mapping[Role, int] = MappingProxyType(
    {
        Role.ARK: 0,
        Role.ASK: 1,
        Role.ASVK: 0x101,
    }
)
_PATH_LENGTHS: Mapping[Role, int | None] = MappingProxyType(
    {
        Role.ARK: None,
        Role.ASK: 0,
        Role.ASVK: 0,
    }
)

_SERIAL_ONE = bytes.fromhex("a003020102 020101")
_SERIAL_ZERO = bytes.fromhex("a003020102 020100")
"""Version 3 and serial number in a TBSCertificate, behind its four bytes of tag and length."""
_SERIAL_OFFSET = 4


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs certificates, for which product, and from when they are to be valid."""

    product: Product
    key: RSAPrivateKey
    now: datetime


def issue_ca(
    role: Role, public_key: RSAPublicKey, signer: Signer, serial: int | None = None
) -> x509.Certificate:
    """Return the certificate of an ARK, ASK or ASVK; its serial number is AMD's unless given."""
    if serial is None:
        serial = _FIRST_SERIALS[signer.product] + _SERIAL_OFFSETS[role]
    builder = _builder(role, signer, CA_LIFE).public_key(public_key).serial_number(serial)
    constraints = x509.BasicConstraints(ca=True, path_length=_PATH_LENGTHS[role])
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(_key_usage(role), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return _sign(builder.add_extension(identifier, critical=False), signer)


def issue_vek(
    role: Role,
    public_key: EllipticCurvePublicKey,
    extensions: Mapping[str, bytes],
    signer: Signer,
    life: timedelta = VCEK_LIFE,
) -> bytes:
    """Return the certificate (DER) of a VEK with these extensions, by OID, and serial number 0."""
    builder = _builder(role, signer, life).public_key(public_key).serial_number(1)
    for oid, value in extensions.items():
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(extension, critical=False)
    return _with_serial_zero(_sign(builder, signer), signer.key)


def issue_crl(revoked: Iterable[int], signer: Signer, life: timedelta = CRL_LIFE) -> bytes:
    """Return the revocation list (DER) of an ARK that names these serial numbers."""
    begin = signer.now - _BACKDATED
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(distinguished_name(Role.ARK, signer.product))
        .last_update(begin)
        .next_update(begin + life)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder(serial_number=serial, revocation_date=begin)
        builder = builder.add_revoked_certificate(entry.build())
    crl = builder.sign(signer.key, SHA384(), rsa_padding=signature_padding())
    return crl.public_bytes(Encoding.DER)


def vcek_extensions(product: Product, chip_id: bytes, tcb: TCBVersion) -> dict[str, bytes]:
    """Return AMD's extensions of a VCEK by OID, in AMD's order."""
    spls = {1: tcb.bootloader, 2: tcb.tee, 3: tcb.snp, 5: 0, 6: 0, 7: 0, 8: tcb.microcode}
    spls |= {4: 0} if tcb.fmc is None else {9: tcb.fmc}
    return {
        f"{AMD_ARC}.1": _integer(STRUCT_VERSIONS[product]),
        f"{AMD_ARC}.2": _ia5_string(_PRODUCT_NAMES[product]),
        **{f"{AMD_ARC}.3.{number}": _integer(spl) for number, spl in spls.items()},
        f"{AMD_ARC}.4": chip_id[: HW_ID_SIZES[product]],
    }


def _builder(role: Role, signer: Signer, life: timedelta) -> x509.CertificateBuilder:
    begin = signer.now - _BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(distinguished_name(role, signer.product))
        .issuer_name(distinguished_name(issuer_role(role), signer.product))
        .not_valid_before(begin)
        .not_valid_after(begin + life)
    )


def _sign(builder: x509.CertificateBuilder, signer: Signer) -> x509.Certificate:
    return builder.sign(signer.key, SHA384(), rsa_padding=signature_padding())


def _with_serial_zero(certificate: x509.Certificate, key: RSAPrivateKey) -> bytes:
    """Return a certificate of serial number 1 with 0 instead, signed anew.

    AMD's VEKs have 0, which the library reads but does not write.
    """
    signed = certificate.tbs_certificate_bytes
    end = _SERIAL_OFFSET + len(_SERIAL_ONE)
    if signed[_SERIAL_OFFSET:end] != _SERIAL_ONE:
        raise AssertionError("a certificate does not begin with its version and serial number")
    changed = signed[:_SERIAL_OFFSET] + _SERIAL_ZERO + signed[end:]
    signature = key.sign(changed, signature_padding(), SHA384())
    whole = certificate.public_bytes(Encoding.DER)
    return whole.replace(signed, changed, 1)[: -len(signature)] + signature


def _key_usage(role: Role) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=role is Role.ARK,
        encipher_only=False,
        decipher_only=False,
    )


def _integer(value: int) -> bytes:
    """Return a DER INTEGER of 0 to 255."""
    content = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return bytes((0x02, len(content))) + content


def _ia5_string(text: str) -> bytes:
    return bytes((0x16, len(text))) + text.encode("ascii")
