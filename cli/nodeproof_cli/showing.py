"""``bundle show``: what is in a bundle, and whether it verifies, as a table or as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nodeproof.errors import VerificationError
from nodeproof.sevsnp.bundle import Bundle, describe, only_item
from nodeproof.sevsnp.certificates import INTERMEDIATES, Role
from nodeproof.sevsnp.collateral import CertificateItem, CRLItem, Item, check_item
from nodeproof.sevsnp.kds import vcek_name
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof_cli.rendering import utc

_HEADINGS = ("KIND", "PRODUCT", "CHIP", "TCB", "FROM", "UNTIL", "SHA-256", "VERIFIES")
_DIGITS = 16
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a bundle, and why it does not verify if it does not."""

    item: Item
    error: VerificationError | None


def look_at(bundle: Bundle, anchors: Sequence[TrustAnchor], now: datetime) -> tuple[Row, ...]:
    """Return every entry, each verified against the pinned roots.

    Raises:
        BundleMalformed: An entry is not one certificate or list of AMD's.
    """
    items = [only_item(der) for der in (*bundle.certificates, *bundle.crls)]
    authorities = {product: _authorities(items, product) for product in Product}
    return tuple(Row(item, _error(item, authorities[item.product], anchors, now)) for item in items)


def as_table(bundle: Bundle, rows: Sequence[Row]) -> str:
    """Return the entries in columns, and below them what is wrong."""
    table = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [f"bundle {bundle.identity} of {utc(bundle.created_time)}, {len(rows)} entries", ""]
    for cells in table:
        pairs = zip(cells, widths, strict=True)
        lines.append("  ".join(cell.ljust(width) for cell, width in pairs).rstrip())
    lines += ["", *_complaints(rows)]
    return "\n".join(lines).rstrip("\n") + "\n"


def as_json(bundle: Bundle, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the same as a JSON object."""
    return {
        "identity": bundle.identity,
        "createdTime": utc(bundle.created_time),
        "entries": [_entry(row) for row in rows],
    }


def complaint(row: Row) -> str:
    """Return why an entry does not verify, in one line."""
    item = row.item
    what = f"{item.kind} of {item.product}, SHA-256 {_digest(item)[:_DIGITS]}"
    return f"{what}: {row.error.reason}, {row.error}" if row.error else f"{what}: verifies"


def _complaints(rows: Sequence[Row]) -> Iterator[str]:
    bad = [row for row in rows if row.error]
    if not bad:
        yield "Everything chains to the pinned roots and is in force."
        return
    yield f"{len(bad)} of {len(rows)} do not verify:"
    for row in bad:
        yield f"  {complaint(row)}"


def _authorities(items: Sequence[Item], product: Product) -> list[bytes]:
    """Return the CA certificates of a product; of more than AMD can have, the first ones."""
    roles = {Role.ARK, *INTERMEDIATES.values()}
    found = [
        item.der
        for item in items
        if isinstance(item, CertificateItem)
        and item.certificate.role in roles
        and item.product is product
    ]
    return found[:_MAX_AUTHORITIES]


_MAX_AUTHORITIES = 24


def _error(
    item: Item, ca: Sequence[bytes], anchors: Sequence[TrustAnchor], now: datetime
) -> VerificationError | None:
    try:
        check_item(item, ca, anchors, now)
    except VerificationError as error:
        return error
    return None


def _cells(row: Row) -> tuple[str, ...]:
    chip, tcb = _chip(row.item)
    begin, end = _validity(row.item)
    verifies = row.error.reason if row.error else "yes"
    days = (utc(time)[:10] if time else _NONE for time in (begin, end))
    digest = _digest(row.item)[:_DIGITS]
    return (row.item.kind, str(row.item.product), chip, tcb, *days, digest, verifies)


def _entry(row: Row) -> dict[str, Any]:
    item = row.item
    begin, end = _validity(item)
    return {
        "kind": item.kind,
        "product": str(item.product),
        "description": describe(item),
        "notBefore": utc(begin),
        "notAfter": utc(end) if end else None,
        "sha256": _digest(item),
        "verifies": row.error is None,
        "reason": row.error.reason if row.error else None,
        "message": str(row.error) if row.error else None,
    }


def _chip(item: Item) -> tuple[str, str]:
    if isinstance(item, CertificateItem) and item.certificate.role is Role.VCEK:
        try:
            name = vcek_name(item.certificate)
        except VerificationError:
            return _NONE, _NONE
        return name.hw_id.hex()[:_DIGITS], str(name.tcb)
    return _NONE, _NONE


def _validity(item: Item) -> tuple[datetime, datetime | None]:
    if isinstance(item, CRLItem):
        return item.crl.this_update, item.crl.next_update
    return item.certificate.not_before, item.certificate.not_after


def _digest(item: Item) -> str:
    return hashlib.sha256(item.der).hexdigest()
