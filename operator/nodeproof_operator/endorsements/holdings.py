"""AMD's certificates and lists that this process holds: in memory, and verified, all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from nodeproof.errors import VerificationError
from nodeproof.sevsnp.certificates import Certificate, Role, load_certificates
from nodeproof.sevsnp.collateral import check_ca, check_vcek
from nodeproof.sevsnp.crl import RevocationList
from nodeproof.sevsnp.endorsement import vek_extensions
from nodeproof.sevsnp.kds import (
    CAName,
    CollateralName,
    CRLName,
    VCEKName,
    ca_names,
    vcek_name,
    vcek_names,
)
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.statement import read_statement
from nodeproof.sevsnp.tcb import TCBVersion
from nodeproof_operator.endorsements.authorities import Authorities
from nodeproof_operator.endorsements.revocations import RevocationLists, VerifiedList
from nodeproof_operator.endorsements.sieve import Found, Sieve, Sifted, signed_list
from nodeproof_operator.endorsements.upkeep import HEARSAY
from nodeproof_operator.endorsements.veks import VEKName, VEKs, VLEKName

JUDGED_FOR = timedelta(hours=1)
"""How long a value is not looked at again: what is not in force yet may come into force."""

MAX_JUDGED = 16384
"""Values whose judgement is remembered, by digest."""


@dataclass(frozen=True, slots=True)
class _Judgement:
    usable: bool
    time: datetime
    authorities: Authorities
    """By which it was judged: with others, what was of no use may be genuine."""


class Holdings:
    """Keeps what verifies and nothing else; belongs to one event loop.

    Args:
        anchors: The pinned roots.
        clock: The time, with its zone.

    Attributes:
        revision: Grows whenever ``crls`` returns something else than before.
        fetched: The products of which chains or lists have been accepted from the key service.
    """

    def __init__(self, anchors: Sequence[TrustAnchor], clock: Callable[[], datetime]) -> None:
        self.revision = 0
        self.fetched: set[Product] = set()
        self._anchors = tuple(anchors)
        self._clock = clock
        self._authorities = Authorities()
        self._lists = RevocationLists()
        self._veks = VEKs()
        self._confirmed: dict[CRLName, datetime] = {}
        self._judged: dict[tuple[bytes, Role | None], _Judgement] = {}

    def accept(self, name: CollateralName, data: bytes) -> None:
        """Keep what came for a name.

        Raises:
            VerificationError: It is not what was asked for, or nobody pinned vouches for it.
        """
        now = self._clock()
        match name:
            case CAName():
                self._trust(load_certificates(check_ca(name, data, self._anchors, now)))
                self.fetched.add(name.product)
            case CRLName():
                self._list([signed_list(name, data, self._authorities, self._anchors, now)])
                self._confirmed[name] = now
                self.fetched.add(name.product)
            case VCEKName():
                ca = self._authorities.of(name.product, Role.ASK, Role.ARK)
                (vek,) = load_certificates([check_vcek(name, data, ca, self._anchors, now)])
                self._veks.put(name, vek)

    def learn(self, values: Iterable[bytes]) -> int:
        """Keep what is genuine in values of unknown make; return how many are of no use."""
        found = [Found(each) for each in values]
        self.keep(self.sieve(found).sift())
        return sum(not self.is_usable(each) for each in found)

    def sieve(self, values: Iterable[Found]) -> Sieve:
        """Return what judges those values that have not been judged lately."""
        now = self._clock()
        fresh = [each for each in dict.fromkeys(values) if not self._is_judged(each, now)]
        return Sieve(fresh, self._authorities, self._anchors, now)

    def keep(self, sifted: Sifted) -> None:
        """Take in what a sieve found to be genuine."""
        self._trust(sifted.authorities.certificates)
        for vek in sifted.veks:
            self._veks.put(_name_of(vek), vek)
        self._list(sifted.crls)
        self._remember(sifted)

    def is_usable(self, value: Found) -> bool:
        """Tell whether a value that a sieve has seen held something genuine."""
        judgement = self._judged.get(_key(value))
        return judgement is not None and judgement.usable

    def certificates(self, report: bytes) -> tuple[bytes, ...]:
        """Return held certificates (DER) that may endorse a report; never raises, on any bytes."""
        try:
            chains, veks = ca_names(report), vcek_names(report)
            tcb = read_statement(report).reported_tcb
        except VerificationError:
            return ()
        names: tuple[VEKName, ...] = (*veks, *_vlek_names(chains, tcb))
        found = [each for name in names for each in self._veks.find(name, self._clock())]
        for chain in chains:
            found.extend(self._authorities.of(chain.product, chain.intermediate, Role.ARK))
        return tuple(found)

    def crls(self) -> tuple[bytes, ...]:
        """Return the lists (DER): of each root the newest, and any that revokes something."""
        return self._lists.der()

    def has(self, name: CollateralName) -> bool:
        """Tell whether something is held under a name."""
        match name:
            case CAName():
                roles = (name.intermediate, Role.ARK)
                return all(self._authorities.of(name.product, role) for role in roles)
            case CRLName():
                return self.crl(name) is not None
            case VCEKName():
                return bool(self._veks.find(name, self._clock()))

    def crl(self, name: CRLName) -> RevocationList | None:
        """Return the newest list that was handed out under a name."""
        return self._lists.newest(name)

    def confirmed(self, name: CRLName) -> datetime | None:
        """Return when the list of a name was last fetched, or may have been by another replica."""
        return self._confirmed.get(name)

    def authorities(self, product: Product) -> tuple[Certificate, ...]:
        """Return the intermediates and roots of a product."""
        return tuple(each for each in self._authorities.certificates if each.product is product)

    def lists(self, product: Product) -> tuple[VerifiedList, ...]:
        """Return the lists of a product."""
        return self._lists.of(product)

    def _trust(self, certificates: Iterable[Certificate]) -> None:
        self._authorities = self._authorities.with_more(certificates)

    def _list(self, new: Iterable[VerifiedList]) -> None:
        before, self._lists = self._lists, self._lists.with_more(new)
        if before.der() != self._lists.der():
            self.revision += 1
        for each in set(self._lists.lists) - set(before.lists):
            for chain in each.chains:
                self._confirmed[CRLName(each.product, chain)] = self._clock() - HEARSAY

    def _is_judged(self, value: Found, now: datetime) -> bool:
        judgement = self._judged.get(_key(value))
        if judgement is None or now - judgement.time >= JUDGED_FOR:
            return False
        return judgement.usable or judgement.authorities is self._authorities

    def _remember(self, sifted: Sifted) -> None:
        if len(self._judged) + len(sifted.usable) > MAX_JUDGED:
            self._judged.clear()
        now = self._clock()
        for value, usable in sifted.usable.items():
            self._judged[_key(value)] = _Judgement(usable, now, sifted.authorities)


def _key(value: Found) -> tuple[bytes, Role | None]:
    return sha256(value.data).digest(), value.chain


def _name_of(vek: Certificate) -> VEKName:
    if vek.role is Role.VCEK:
        return vcek_name(vek)
    return VLEKName(vek.product, vek_extensions(vek).tcb)


def _vlek_names(chains: Iterable[CAName], tcb: TCBVersion) -> Iterable[VLEKName]:
    return (VLEKName(chain.product, tcb) for chain in chains if chain.intermediate is Role.ASVK)
