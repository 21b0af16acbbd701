"""From bytes of anybody to what is genuine among them.

Pure and without shared state, so that a thread can do it while the event loop goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from nodeproof.errors import CertificateMalformed, VerificationError
from nodeproof.sevsnp.certificates import INTERMEDIATES, Certificate, Role
from nodeproof.sevsnp.collateral import CRLItem, Item, check_crl, check_item, classify
from nodeproof.sevsnp.kds import CRLName
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof_operator.endorsements.authorities import Authorities
from nodeproof_operator.endorsements.revocations import VerifiedList


class Found(NamedTuple):
    """A value of unknown make."""

    data: bytes
    chain: Role | None = None
    """If it is a revocation list: beside which intermediate it is said to be handed out."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """What proved to be genuine, and of which values nothing did."""

    authorities: Authorities
    """Those that were there before, and those found."""
    veks: tuple[Certificate, ...]
    crls: tuple[VerifiedList, ...]
    usable: Mapping[Found, bool]
    """Whether something in each value is genuine."""


@dataclass(frozen=True, slots=True)
class Sieve:
    """Values to be judged, and by what; ``sift`` is for any thread."""

    values: Sequence[Found]
    authorities: Authorities
    anchors: Sequence[TrustAnchor]
    now: datetime

    def sift(self) -> Sifted:
        """Judge all values: roots first, then what they signed, whatever the order was."""
        items = [(value, item) for value in self.values for item in _items(value)]
        usable = dict.fromkeys(self.values, False)
        authorities = self.authorities
        for roles in ({Role.ARK}, set(INTERMEDIATES.values())):
            good = list(self._genuine(items, roles, authorities))
            authorities = authorities.with_more(each for _, each in good)
            usable |= {value: True for value, _ in good}
        veks = list(self._genuine(items, set(INTERMEDIATES), authorities))
        crls = list(self._lists(items, authorities))
        usable |= {value: True for value, _ in (*veks, *crls)}
        return Sifted(
            authorities=authorities,
            veks=tuple(each for _, each in veks),
            crls=tuple(each for _, each in crls),
            usable=usable,
        )

    def _genuine(
        self, items: Iterable[tuple[Found, Item]], roles: set[Role], authorities: Authorities
    ) -> Iterator[tuple[Found, Certificate]]:
        for value, item in items:
            if isinstance(item, CRLItem) or item.certificate.role not in roles:
                continue
            with suppress(VerificationError):
                ca = authorities.of(item.product, Role.ARK, *INTERMEDIATES.values())
                check_item(item, ca, self.anchors, self.now)
                yield value, item.certificate

    def _lists(
        self, items: Iterable[tuple[Found, Item]], authorities: Authorities
    ) -> Iterator[tuple[Found, VerifiedList]]:
        for value, item in items:
            if isinstance(item, CRLItem):
                verified = self._verified(item, value.chain, authorities)
                if verified:
                    yield value, verified

    def _verified(
        self, item: CRLItem, chain: Role | None, authorities: Authorities
    ) -> VerifiedList | None:
        begin = item.crl.this_update
        # A list that has ended says nothing of today; but what it revokes stays revoked.
        moment = min(begin, self.now) if item.crl.serials else self.now
        name = CRLName(item.product, chain or Role.ASK)
        with suppress(VerificationError):
            verified = signed_list(name, item.der, authorities, self.anchors, moment)
            return verified if chain else replace(verified, chains=frozenset())
        return None


def _items(value: Found) -> tuple[Item, ...]:
    with suppress(CertificateMalformed):
        return classify(value.data)
    return ()


def signed_list(
    name: CRLName,
    data: bytes,
    authorities: Authorities,
    anchors: Sequence[TrustAnchor],
    now: datetime,
) -> VerifiedList:
    """Return a list with the root that signed it.

    Raises:
        VerificationError: See ``nodeproof.sevsnp.collateral.check_crl``.
    """
    everything = tuple(root.der for root in authorities.roots(name.product))
    crl = check_crl(name, data, everything, anchors, now)
    for root in authorities.roots(name.product):
        with suppress(VerificationError):
            check_crl(name, data, (root.der,), anchors, now)
            return VerifiedList(
                crl, name.product, root.public_key_sha256, frozenset({name.intermediate})
            )
    raise AssertionError("a list is signed by one of all roots and by none of them")
