"""The revocation lists that are held: verified, and no more of them than still tell something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.crl import RevocationList
from nodeproof.sevsnp.kds import CRLName
from nodeproof.sevsnp.products import Product


@dataclass(frozen=True, slots=True)
class VerifiedList:
    """A complete list and the root that signed it."""

    crl: RevocationList
    product: Product
    root: str
    """SHA-256 of the root's SubjectPublicKeyInfo: a simulated root has AMD's name, not its key."""
    chains: frozenset[Role] = frozenset()
    """Beside which intermediates it was handed out, if anybody said so. Every list of a root
    counts for all of its chains; this only tells when to ask for the next one."""


@dataclass(frozen=True, slots=True)
class RevocationLists:
    """Verified lists, newest first; a value: adding gives another one."""

    lists: tuple[VerifiedList, ...] = ()

    def with_more(self, new: Iterable[VerifiedList]) -> RevocationLists:
        """Return these and new ones, without those that tell nothing any more.

        Of each root stays the newest list, the newest of each chain, and any that revokes what no
        newer one of these revokes: AMD gives no certificate back, so what once was named stays
        refused.
        """
        known = {each.crl.der: each for each in self.lists}
        for each in new:
            old = known.get(each.crl.der, each)
            known[each.crl.der] = replace(old, chains=old.chains | each.chains)
        ordered = sorted(
            known.values(), key=lambda each: (each.crl.this_update, each.crl.der), reverse=True
        )
        return RevocationLists(tuple(_telling(ordered)))

    def newest(self, name: CRLName) -> RevocationList | None:
        """Return the newest list that was handed out under a name."""
        found = (
            each.crl
            for each in self.lists
            if each.product is name.product and name.intermediate in each.chains
        )
        return next(found, None)

    def of(self, product: Product) -> tuple[VerifiedList, ...]:
        """Return the lists of a product."""
        return tuple(each for each in self.lists if each.product is product)

    def der(self) -> tuple[bytes, ...]:
        """Return all lists in DER."""
        return tuple(each.crl.der for each in self.lists)


def _telling(newest_first: Iterable[VerifiedList]) -> Iterable[VerifiedList]:
    seen: dict[str, set[Role]] = {}
    revoked: dict[str, set[int]] = {}
    for each in newest_first:
        first = each.root not in seen
        chains, serials = seen.setdefault(each.root, set()), revoked.setdefault(each.root, set())
        if first or not each.chains <= chains or not each.crl.serials <= serials:
            chains |= each.chains
            serials |= each.crl.serials
            yield each
