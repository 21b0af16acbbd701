"""The VEKs that are held, found by what a report says of its signer."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from nodeproof.sevsnp.certificates import Certificate
from nodeproof.sevsnp.kds import VCEKName
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.tcb import TCBVersion

CAPACITY = 4096
"""Names whose VEKs are held, about 2 KiB each; the least recently used make room."""

MAX_VLEKS = 4
"""VLEKs held of one product and TCB version: a provider has one for each of its regions."""


@dataclass(frozen=True, slots=True)
class VLEKName:
    """The VLEKs of all providers for one product and one version of its firmware."""

    product: Product
    tcb: TCBVersion


VEKName: TypeAlias = VCEKName | VLEKName


@dataclass(frozen=True, slots=True)
class _Held:
    der: bytes
    not_before: datetime
    not_after: datetime


class VEKs:
    """Verified VEKs, a bounded number of them."""

    def __init__(self) -> None:
        self._held: OrderedDict[VEKName, tuple[_Held, ...]] = OrderedDict()

    def put(self, name: VEKName, vek: Certificate) -> None:
        """Keep a VEK; AMD may issue a VCEK again, of which the newer one stays."""
        new = _Held(vek.der, vek.not_before, vek.not_after)
        known = {*self._held.get(name, ()), new}
        most = 1 if isinstance(name, VCEKName) else MAX_VLEKS
        newest = sorted(known, key=lambda each: (each.not_before, each.der), reverse=True)
        self._held[name] = tuple(newest[:most])
        self._held.move_to_end(name)
        if len(self._held) > CAPACITY:
            self._held.popitem(last=False)

    def find(self, name: VEKName, now: datetime) -> tuple[bytes, ...]:
        """Return the VEKs (DER) of a name that have not ended."""
        if name not in self._held:
            return ()
        self._held.move_to_end(name)
        return tuple(each.der for each in self._held[name] if now <= each.not_after)
