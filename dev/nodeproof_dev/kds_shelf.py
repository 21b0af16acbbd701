"""What the stand-in for AMD's KDS has: VCEKs, certificate chains and revocation lists, by URL.

Paths, parameters and encodings are those of AMD 57230. The URL is read here anew, not with the
verifier's own code: what one gets wrong, the other does not repeat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from nodeproof.sevsnp.products import HW_ID_SIZES, Product
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.tcb import TCBVersion
from nodeproof_dev.kds_answers import KDSAnswer, found, refused

_CHAIN = re.compile(r"/vcek/v1/(\w+)/cert_chain")
_CRL = re.compile(r"/(?:vcek|vlek)/v1/(\w+)/crl")
_VCEK = re.compile(r"/vcek/v1/(\w+)/([0-9A-Fa-f]+)")

_HIGHEST_SPL = 255

_VCEKKey = tuple[Product, bytes, TCBVersion]


class Kind(StrEnum):
    """What a request asks for."""

    VCEK = "vcek"
    CHAIN = "cert_chain"
    CRL = "crl"
    OTHER = "other"

    @classmethod
    def of(cls, target: str) -> Kind:
        """Return what a request's path and query ask for, whether it is there or not."""
        path = urlsplit(target).path
        patterns = {cls.CHAIN: _CHAIN, cls.CRL: _CRL, cls.VCEK: _VCEK}
        return next((kind for kind, it in patterns.items() if it.fullmatch(path)), cls.OTHER)


class Shelf:
    """The files of a key server; may be filled and changed while it serves.

    A simulated authority has no ASVK, so there is no chain for VLEKs; a root's one revocation list
    is served under both names.
    """

    def __init__(self, *authorities: SimulatedAuthority, now: datetime) -> None:
        """Lay out the chain and an empty revocation list of each authority."""
        self._chains: dict[Product, bytes] = {}
        self._crls: dict[Product, bytes] = {}
        self._vceks: dict[_VCEKKey, bytes] = {}
        for authority in authorities:
            self._chains[authority.product] = authority.ask + authority.ark
            self.put_crl(authority.product, authority.issue_crl(now))

    def put_crl(self, product: Product, crl: bytes) -> None:
        """Let this be a product's revocation list (DER) from now on."""
        self._crls[product] = crl

    def put_vceks(self, machines: Iterable[SimulatedMachine]) -> None:
        """Know the VCEKs of the processors under these machines."""
        for machine in machines:
            key = machine.product, _hw_id(machine.product, machine.chip_id), machine.processor.tcb
            self._vceks[key] = machine.processor.certificates[0]

    def answer(self, target: str) -> KDSAnswer:
        """Return what AMD's server would answer to a request for this path and query."""
        url = urlsplit(target)
        if match := _CHAIN.fullmatch(url.path):
            return _given(self._chains, match[1], "cert_chain")
        if match := _CRL.fullmatch(url.path):
            return _given(self._crls, match[1], "crl")
        if match := _VCEK.fullmatch(url.path):
            key = _vcek_key(match[1], match[2], url.query)
            if key in self._vceks:
                return found(self._vceks[key], "vcek.crt")
        return refused(HTTPStatus.NOT_FOUND)


def _given(files: Mapping[Product, bytes], product: str, filename: str) -> KDSAnswer:
    if product not in files:
        return refused(HTTPStatus.NOT_FOUND)
    return found(files[Product(product)], filename)


def _vcek_key(product_name: str, hw_id: str, query: str) -> _VCEKKey | None:
    """Return which VCEK is asked for; None if the request is not well-formed."""
    try:
        product = Product(product_name)
        chip = bytes.fromhex(hw_id)
        tcb = _tcb(product, dict(parse_qsl(query)))
    except ValueError:
        return None
    return (product, chip, tcb) if len(chip) == HW_ID_SIZES[product] else None


def _tcb(product: Product, parameters: Mapping[str, str]) -> TCBVersion:
    """Return the TCB version that is asked for; what is not stated is zero."""

    def spl(name: str) -> int:
        number = int(parameters.get(f"{name}SPL", "0"))
        if not 0 <= number <= _HIGHEST_SPL:
            raise ValueError(name)
        return number

    return TCBVersion(
        fmc=spl("fmc") if product is Product.TURIN else None,
        bootloader=spl("bl"),
        tee=spl("tee"),
        snp=spl("snp"),
        microcode=spl("ucode"),
    )


def _hw_id(product: Product, chip_id: bytes) -> bytes:
    return chip_id[: HW_ID_SIZES[product]]
