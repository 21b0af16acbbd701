"""Certificates and revocation lists in labelled ConfigMaps, shared by the replicas.

Whoever may write ConfigMaps in our namespace can put anything there: nothing of it counts unless it
chains to a pinned root. VEKs are not written: they are in the evidence that used them.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from textwrap import wrap
from typing import NamedTuple

import structlog

from nodeproof.sevsnp.bundle import LABEL
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.products import Product
from nodeproof_operator.cluster.gateway import Gateway, Json, list_labelled
from nodeproof_operator.cluster.objects import config_maps, endorsements
from nodeproof_operator.cluster.secrets import SealedStore
from nodeproof_operator.endorsements.holdings import Holdings
from nodeproof_operator.endorsements.sieve import Found

MAX_CONFIG_MAPS = 64
"""ConfigMaps that are read; further ones, by name, are ignored."""

MAX_VALUES = 4096
"""Values that are looked at, in all ConfigMaps together."""

MAX_CHARACTERS = 16 * 1024 * 1024
"""Characters of these values, as the ConfigMaps hold them: a bundle's have a quarter of a million
each. Whatever there is more is not even decoded."""

_CHAINS = {f"crl-{role.lower()}-": role for role in (Role.ASK, Role.ASVK)}
"""How the keys of lists begin that the operator writes: beside which chain AMD hands them out."""


_FURTHER = "further ConfigMaps"
"""Stands for those beyond the limit; no ConfigMap can have this name."""

_log = structlog.get_logger()


class _Value(NamedTuple):
    config_map: str
    found: Found


class Store:
    """Reads all labelled ConfigMaps into the holdings, and writes what was fetched into ours.

    Args:
        gateway: The API server.
        namespace: Where the ConfigMaps are.
        holdings: What is read and written.

    Attributes:
        ignored: How many ConfigMaps and values of the last reading were of no use.
    """

    def __init__(self, gateway: Gateway, namespace: str, holdings: Holdings) -> None:
        self.ignored = 0
        self._gateway = gateway
        self._prepared = SealedStore(gateway, namespace)
        self._path = config_maps(namespace)
        self._holdings = holdings
        self._reported: Mapping[str, int] = {}

    async def refresh(self) -> None:
        """Read all ConfigMaps; what a hostile one holds changes nothing.

        Raises:
            ApiError: They cannot be read; what is held stays.
        """
        reading = _Reading()
        listed = list_labelled(self._gateway, self._path, LABEL, most=MAX_CONFIG_MAPS + 1)
        async for body in listed:
            reading.take(body)
        # Signatures by the thousand: the event loop has other things to do meanwhile.
        sieve = self._holdings.sieve(each.found for each in reading.values)
        self._holdings.keep(await asyncio.to_thread(sieve.sift))
        usable = [each for each in reading.values if self._holdings.is_usable(each.found)]
        self._report(reading.without(usable))

    async def save(self) -> None:
        """Write chains and lists of all products of which this process has fetched something.

        Nothing is sent where nothing has changed.

        Raises:
            ApiError: A ConfigMap cannot be written, or others write it all the time.
        """
        for product in sorted(self._holdings.fetched):
            await self._prepared.revise(endorsements(product), partial(self._revised, product))

    def _revised(self, product: Product, current: Mapping[str, str]) -> Mapping[str, str]:
        """Return what our ConfigMap is to hold, whatever another replica has put there since."""
        found = [_found(key, text.encode()) for key, text in current.items()]
        self._holdings.keep(self._holdings.sieve(found).sift())
        return dict(_entries(self._holdings, product))

    def _report(self, ignored: Mapping[str, int]) -> None:
        """Count what was ignored, by ConfigMap, and log it once, not in every round."""
        self.ignored = sum(ignored.values())
        for name, count in ignored.items():
            if self._reported.get(name) != count:
                _log.warning("endorsements ignored", config_map=name, values=count)
        self._reported = ignored


class _Reading:
    """What one round reads: bounded, whatever the ConfigMaps hold.

    Attributes:
        values: Those that are looked at.
    """

    def __init__(self) -> None:
        self.values: list[_Value] = []
        self._counts: dict[str, int] = {}
        self._characters = 0

    def take(self, body: Json) -> None:
        """Take the values of the next ConfigMap, as many as there is room for."""
        if len(self._counts) == MAX_CONFIG_MAPS:
            self._counts[_FURTHER] = 1
            return
        name, texts = body["metadata"]["name"], (body.get("data") or {}).items()
        binary = (body.get("binaryData") or {}).items()
        self._counts[name] = len(texts) + len(binary)
        for key, text in self._fitting(texts):
            self.values.append(_Value(name, _found(key, text.encode())))
        for key, text in self._fitting(binary):
            self.values.append(_Value(name, _found(key, b64decode(text))))

    def without(self, usable: Iterable[_Value]) -> Mapping[str, int]:
        """Return how many values of each ConfigMap are of no use, if any."""
        counts = Counter(self._counts)
        counts.subtract(each.config_map for each in usable)
        return {name: count for name, count in counts.items() if count}

    def _fitting(self, items: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        for key, text in items:
            self._characters += len(text)
            if len(self.values) >= MAX_VALUES or self._characters > MAX_CHARACTERS:
                return
            yield key, text


def _found(key: str, data: bytes) -> Found:
    chain = next((role for start, role in _CHAINS.items() if key.startswith(start)), None)
    return Found(data, chain)


def _entries(holdings: Holdings, product: Product) -> Iterator[tuple[str, str]]:
    """Yield keys and PEM of all that is held of a product and is not in evidence anyway."""
    for each in holdings.authorities(product):
        yield f"{each.role.lower()}-{_digest(each.der)}.pem", _pem("CERTIFICATE", each.der)
    for verified in holdings.lists(product):
        text = _pem("X509 CRL", verified.crl.der)
        starts = [start for start, role in _CHAINS.items() if role in verified.chains]
        for start in starts or ["crl-"]:
            yield f"{start}{_digest(verified.crl.der)}.pem", text


def _pem(label: str, der: bytes) -> str:
    lines = wrap(b64encode(der).decode(), 64)
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def _digest(der: bytes) -> str:
    return sha256(der).hexdigest()[:16]
