"""What is at hand of what the key service would be asked for, and what it has handed out since.

Everything counts only once it has been verified against the pinned roots.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain

from nodeproof.errors import VerificationError
from nodeproof.sevsnp.certificates import Certificate, Role, load_certificates
from nodeproof.sevsnp.collateral import (
    CertificateItem,
    check_ca,
    check_crl,
    check_item,
    check_vcek,
    classify,
)
from nodeproof.sevsnp.crl import load_crl
from nodeproof.sevsnp.kds import CAName, CollateralName, CRLName, VCEKName, vcek_name
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import TrustAnchor

_MOST = 8
"""Roots, and intermediates of each kind, of one product: AMD has issued two of one once, and nobody
else can."""


class Holding:
    """Verified certificates and lists; a set without order.

    Attributes:
        fetched_certificates: What ``add`` has kept, DER, in order.
        fetched_crls: The same of lists.
    """

    def __init__(
        self,
        certificates: Iterable[Certificate],
        crls: Iterable[bytes],
        anchors: Sequence[TrustAnchor],
        now: datetime,
        *,
        crls_at: datetime,
    ) -> None:
        """Keep of what is given what verifies.

        Args:
            certificates: From files.
            crls: From files, each readable.
            anchors: The pinned roots.
            now: When certificates must be in force.
            crls_at: When lists must be in force.
        """
        self.fetched_certificates: list[bytes] = []
        self.fetched_crls: list[bytes] = []
        self._anchors, self._now, self._crls_at = anchors, now, crls_at
        self._roots: dict[Product, dict[bytes, None]] = {product: {} for product in Product}
        self._intermediates: dict[CAName, dict[bytes, None]] = {}
        self._vceks: dict[VCEKName, bytes] = {}
        self._vleks: dict[bytes, Certificate] = {}
        self._crls: dict[Product, dict[bytes, None]] = {product: {} for product in Product}
        # Issuers before what they issued.
        order = [Role.ARK, Role.ASK, Role.ASVK, Role.VCEK, Role.VLEK]
        self._doubtful = sorted(certificates, key=lambda each: order.index(each.role))
        self._look_again()
        for crl in crls:
            with suppress(VerificationError):
                self._keep_crl(crl)

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """All certificates, DER."""
        authorities = (*self._roots.values(), *self._intermediates.values())
        return (*chain.from_iterable(authorities), *self._vceks.values(), *self._vleks)

    @property
    def without_vceks(self) -> tuple[Certificate, ...]:
        """All certificates but the VCEKs: enough for a report that a VLEK signed."""
        authorities = (load_certificates(self.authorities(product)) for product in Product)
        return (*self._vleks.values(), *chain.from_iterable(authorities))

    @property
    def chains(self) -> tuple[CAName, ...]:
        """Every chain of which both certificates are at hand."""
        return tuple(name for name in self._intermediates if self.has(name))

    @property
    def crls(self) -> tuple[bytes, ...]:
        """All lists, DER."""
        return tuple(der for group in self._crls.values() for der in group)

    def authorities(self, product: Product) -> tuple[bytes, ...]:
        """Return the intermediates and roots of a product, DER."""
        names = (CAName(product, role) for role in (Role.ASK, Role.ASVK))
        groups = (*(self._intermediates.get(name, {}) for name in names), self._roots[product])
        return tuple(der for group in groups for der in group)

    def has(self, name: CollateralName) -> bool:
        """Tell whether something of this name is at hand."""
        match name:
            case CAName():
                return bool(self._intermediates.get(name) and self._roots[name.product])
            case CRLName():
                return bool(self._crls[name.product])
            case VCEKName():
                return name in self._vceks

    def add(self, name: CollateralName, data: bytes) -> None:
        """Keep an answer of the key service.

        Raises:
            VerificationError: It does not verify, or is not what was asked for; it is not kept.
        """
        ca, anchors, now = self.authorities(name.product), self._anchors, self._now
        match name:
            case CAName():
                intermediate, root = check_ca(name, data, anchors, now)
                self._roots[name.product][root] = None
                self._intermediates.setdefault(name, {})[intermediate] = None
                self.fetched_certificates += [intermediate, root]
                self._look_again()
            case CRLName():
                crl = check_crl(name, data, ca, anchors, self._crls_at)
                self._crls[name.product][crl.der] = None
                self.fetched_crls.append(crl.der)
            case VCEKName():
                self._vceks[name] = check_vcek(name, data, ca, anchors, now)
                self.fetched_certificates.append(self._vceks[name])

    def _look_again(self) -> None:
        """Keep what verifies now, of what did not; it may have lacked its issuer."""
        doubtful, self._doubtful = self._doubtful, []
        for certificate in doubtful:
            try:
                self._keep(certificate)
            except VerificationError:
                self._doubtful.append(certificate)

    def _keep(self, certificate: Certificate) -> None:
        product, item = certificate.product, CertificateItem(certificate)
        check_item(item, self.authorities(product), self._anchors, self._now)
        match certificate.role:
            case Role.ARK:
                self._limited(self._roots[product], certificate.der)
            case Role.ASK | Role.ASVK:
                name = CAName(product, certificate.role)
                self._limited(self._intermediates.setdefault(name, {}), certificate.der)
            case Role.VCEK:
                self._vceks[vcek_name(certificate)] = certificate.der
            case Role.VLEK:
                self._vleks[certificate.der] = certificate

    def _keep_crl(self, crl: bytes) -> None:
        for item in classify(load_crl(crl).der):
            check_item(item, self.authorities(item.product), self._anchors, self._crls_at)
            self._crls[item.product][item.der] = None

    @staticmethod
    def _limited(group: dict[bytes, None], der: bytes) -> None:
        if len(group) < _MOST:
            group[der] = None
