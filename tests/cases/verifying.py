"""Verification as the tests ask for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fakes import simulated
from nodeproof.sevsnp.crl import NOT_REQUIRED, Revocation
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.verify import VerifiedReport, verify

NOW = simulated.NOW


def check(
    report: bytes,
    certificates: Iterable[bytes],
    *,
    anchors: Iterable[TrustAnchor] | None = None,
    now: datetime = NOW,
    report_data: bytes | None = None,
    revocation: Revocation = NOT_REQUIRED,
) -> VerifiedReport:
    """Verify with all simulated roots pinned, unless told otherwise."""
    if anchors is None:
        anchors = [simulated.authority(product).anchor() for product in Product]
    return verify(
        report,
        certificates,
        anchors=tuple(anchors),
        now=now,
        report_data=report_data,
        revocation=revocation,
    )
