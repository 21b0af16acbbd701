"""May this be kept? Certificates and revocation lists from the KDS, from bundles, from anywhere.

The KDS is reached through proxies and mirrors, and bundles through many hands: what they give is
a claim, and is kept only if it chains to a pinned root and is what was asked for. Whether it fits a
report is asked again, by ``verify``, whenever it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import product as pairs
from typing import TypeAlias

from cryptography.x509.oid import NameOID

from nodeproof.errors import (
    CertificateMalformed,
    EndorsementMismatch,
    EndorsementsMissing,
    RevocationUnknown,
)
from nodeproof.sevsnp.certificates import (
    INTERMEDIATES,
    Certificate,
    Role,
    common_name,
    load_certificates,
)
from nodeproof.sevsnp.chain import Chain, check_authority, check_root, first_accepted, first_chain
from nodeproof.sevsnp.crl import RevocationList, check_list, load_crl
from nodeproof.sevsnp.endorsement import vek_extensions
from nodeproof.sevsnp.kds import CAName, CRLName, VCEKName, vcek_name
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import TrustAnchor

CRL = "CRL"
"""The kind of a revocation list, beside the roles of certificates."""

_ROOTS = {common_name(Role.ARK, product): product for product in Product}


@dataclass(frozen=True, slots=True)
class CertificateItem:
    """One certificate with AMD's names; nobody vouches for it yet."""

    certificate: Certificate

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.der

    @property
    def kind(self) -> str:
        """Its role: ARK, ASK, ASVK, VCEK or VLEK."""
        return self.certificate.role

    @property
    def product(self) -> Product:
        """Whose chain it belongs to, by its names."""
        return self.certificate.product


@dataclass(frozen=True, slots=True)
class CRLItem:
    """One revocation list with the name of an ARK; nobody vouches for it yet."""

    crl: RevocationList
    product: Product
    """Whose ARK issued it, by its name. That says all: the list of an ARK is the same whether it
    was handed out beside the ASK or beside the ASVK."""

    @property
    def der(self) -> bytes:
        """The list."""
        return self.crl.der

    @property
    def kind(self) -> str:
        """What it is: ``CRL``."""
        return CRL


Item: TypeAlias = CertificateItem | CRLItem


def check_ca(
    name: CAName, data: bytes, anchors: Sequence[TrustAnchor], now: datetime
) -> tuple[bytes, bytes]:
    """Return intermediate and root (DER) of this name, which chain to a pinned root.

    Args:
        name: What was asked for.
        data: The answer: PEM with both, in any order, and perhaps with others.
        anchors: The pinned roots.
        now: When both must be in force.

    Raises:
        CertificateMalformed: This cannot be read.
        EndorsementsMissing: One of the two is not there.
        RootUntrusted: The root is not pinned.
        ChainInvalid: One breaks its profile, its dates or its signature.
    """
    found = [each for each in load_certificates([data]) if each.product is name.product]
    intermediates = [each for each in found if each.role is name.intermediate]
    roots = [each for each in found if each.role is Role.ARK]

    def attempt(intermediate: Certificate, root: Certificate) -> tuple[bytes, bytes]:
        check_authority(intermediate, root, anchors, now)
        return intermediate.der, root.der

    attempts = (partial(attempt, *pair) for pair in pairs(intermediates, roots))
    return first_accepted(attempts, otherwise=lambda: _incomplete(name, found))


def check_vcek(
    name: VCEKName,
    data: bytes,
    ca: Sequence[bytes],
    anchors: Sequence[TrustAnchor],
    now: datetime,
) -> bytes:
    """Return the VCEK (DER) of this name, which chains to a pinned root.

    Args:
        name: What was asked for: product, chip and TCB version, all of which must be the VCEK's.
        data: The answer: one certificate, DER or PEM.
        ca: Untrusted certificates that may lead from it to the root.
        anchors: The pinned roots.
        now: When all must be in force.

    Raises:
        CertificateMalformed: This is not one certificate, or one of ``ca`` cannot be read.
        EndorsementsMissing: It is no VCEK, or nothing in ``ca`` leads to a root.
        RootUntrusted: The root is not pinned.
        ChainInvalid: A certificate breaks its profile, its dates or its signature.
        EndorsementMismatch: It is the VCEK of something else.
    """
    vcek = _only_vcek(name, load_certificates([data]))

    def judge(chain: Chain) -> bytes:
        _require_name(name, vcek_name(chain.vek))
        return chain.vek.der

    return first_chain(vcek, load_certificates(ca), anchors, now, judge)


def check_crl(
    name: CRLName,
    data: bytes,
    ca: Sequence[bytes],
    anchors: Sequence[TrustAnchor],
    now: datetime,
) -> RevocationList:
    """Return the complete list of this product's pinned root, whomever it names.

    Args:
        name: What was asked for.
        data: The answer: a list, DER or PEM.
        ca: Untrusted certificates with the root among them.
        anchors: The pinned roots.
        now: When root and list must be in force.

    Raises:
        CertificateMalformed: One of ``ca`` cannot be read.
        EndorsementsMissing: There is no root of the product in ``ca``.
        RootUntrusted: The root is not pinned.
        ChainInvalid: The root breaks its profile, its dates or its signature.
        RevocationUnknown: The list cannot be read, is partial, not in force, or not the root's.
    """
    crl = load_crl(data)

    def attempt(root: Certificate) -> RevocationList:
        check_root(root, anchors, now)
        check_list(crl, root, now)
        return crl

    attempts = (partial(attempt, root) for root in _roots(ca, name.product))
    return first_accepted(attempts, otherwise=lambda: _no_root(name.product))


def check_item(
    item: Item, ca: Sequence[bytes], anchors: Sequence[TrustAnchor], now: datetime
) -> None:
    """Check an item for what it says that it is; of VEKs also those that nobody can ask for.

    Args:
        item: From ``classify``.
        ca: Untrusted certificates that may lead from it to the root; not needed for a root.
        anchors: The pinned roots.
        now: When all must be in force.

    Raises:
        VerificationError: Any of those of ``check_ca``, ``check_vcek`` and ``check_crl``.
    """
    if isinstance(item, CRLItem):
        check_crl(CRLName(item.product, Role.ASK), item.der, ca, anchors, now)
        return
    certificate = item.certificate
    if certificate.role is Role.ARK:
        check_root(certificate, anchors, now)
    elif certificate.role in INTERMEDIATES:
        first_chain(certificate, load_certificates(ca), anchors, now, _judge_vek)
    else:
        roots = _roots(ca, certificate.product)
        attempts = (partial(check_authority, certificate, root, anchors, now) for root in roots)
        first_accepted(attempts, otherwise=lambda: _no_root(certificate.product))


def classify(data: bytes) -> tuple[Item, ...]:
    """Return AMD's certificates in some bytes, or the list that they are; it may be nothing.

    One list, or one certificate in DER, or certificates in PEM.

    Raises:
        CertificateMalformed: This is neither certificates nor a list.
    """
    with suppress(CertificateMalformed):
        return tuple(CertificateItem(each) for each in load_certificates([data]))
    try:
        crl = load_crl(data)
    except RevocationUnknown as error:
        raise CertificateMalformed(
            "this is neither a certificate nor a revocation list",
            expected="DER or PEM",
            observed=f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}",
        ) from error
    names = crl.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    product = _ROOTS.get(str(names[0].value)) if len(names) == 1 else None
    return (CRLItem(crl, product),) if product else ()


def _roots(certificates: Iterable[bytes], product: Product) -> list[Certificate]:
    loaded = load_certificates(certificates)
    return [each for each in loaded if each.role is Role.ARK and each.product is product]


def _judge_vek(chain: Chain) -> None:
    if chain.vek.role is Role.VCEK:
        vcek_name(chain.vek)
    elif vek_extensions(chain.vek).csp_id is None:
        raise EndorsementMismatch("a VLEK names a cloud provider", expected="csp_id")


def _only_vcek(name: VCEKName, found: Sequence[Certificate]) -> Certificate:
    if len(found) == 1 and found[0].role is Role.VCEK:
        return found[0]
    raise EndorsementsMissing(
        "this is not the VCEK that was asked for",
        expected=str(name),
        observed=_roles(found),
    )


def _require_name(name: VCEKName, found: VCEKName) -> None:
    facts = (
        ("product", name.product, found.product),
        ("hwID", name.hw_id.hex(), found.hw_id.hex()),
        ("TCB version", name.tcb, found.tcb),
    )
    for what, expected, observed in facts:
        if expected != observed:
            raise EndorsementMismatch(
                f"this is another VCEK than was asked for: {what}",
                expected=str(expected),
                observed=str(observed),
            )


def _incomplete(name: CAName, found: Iterable[Certificate]) -> EndorsementsMissing:
    wanted = (name.intermediate, Role.ARK)
    return EndorsementsMissing(
        "this is not the chain that was asked for",
        expected=" and ".join(common_name(role, name.product) for role in wanted),
        observed=_roles(found),
    )


def _no_root(product: Product) -> EndorsementsMissing:
    return EndorsementsMissing(
        "the root that must have signed this is not at hand",
        expected=common_name(Role.ARK, product),
        observed="none",
    )


def _roles(found: Iterable[Certificate]) -> str:
    return ", ".join(f"{each.role} of {each.product}" for each in found) or "none of AMD's"
