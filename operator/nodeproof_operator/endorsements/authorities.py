"""The intermediates and roots that are held: each verified up to a pinned key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nodeproof.sevsnp.certificates import Certificate, Role
from nodeproof.sevsnp.products import Product

MAX_OF_A_KIND = 3
"""Certificates kept of one product and role, the newest: AMD has issued an ASK twice."""


@dataclass(frozen=True, slots=True)
class Authorities:
    """Verified CA certificates; a value: adding gives another one."""

    certificates: tuple[Certificate, ...] = ()

    def of(self, product: Product, *roles: Role) -> tuple[bytes, ...]:
        """Return the certificates (DER) of a product that have one of these roles."""
        return tuple(each.der for each in self._of(product, roles))

    def roots(self, product: Product) -> tuple[Certificate, ...]:
        """Return the roots of a product: more than one where simulated ones are trusted too."""
        return tuple(self._of(product, (Role.ARK,)))

    def with_more(self, new: Iterable[Certificate]) -> Authorities:
        """Return these and new ones; the very same if none is new."""
        known = {each.der: each for each in self.certificates}
        added = {each.der: each for each in new} | known
        newest = {each.der: each for each in _newest(added.values())}
        return self if newest.keys() == known.keys() else Authorities(tuple(newest.values()))

    def _of(self, product: Product, roles: tuple[Role, ...]) -> Iterable[Certificate]:
        return (
            each for each in self.certificates if each.product is product and each.role in roles
        )


def _newest(certificates: Iterable[Certificate]) -> Iterable[Certificate]:
    counts: dict[tuple[Product, Role], int] = {}
    for each in sorted(certificates, key=lambda each: (each.not_before, each.der), reverse=True):
        kind = (each.product, each.role)
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= MAX_OF_A_KIND:
            yield each
