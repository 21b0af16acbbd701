"""VEKs from the evidence that other nodes, or the same one earlier, were accepted with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nodeproof.result import StoredEvidence
from nodeproof.sevsnp.bits import SigningKey
from nodeproof.sevsnp.layout import REPORT_SIZE
from nodeproof_operator.cluster.views import Record

MAX_VEKS = 4
"""Distinct VCEKs taken: AMD issues one again at times."""

_KEY_INFO = slice(0x048, 0x04C)
_REPORTED_TCB = slice(0x180, 0x188)
_CHIP_ID = slice(0x1A0, 0x1E0)
"""Where ATTESTATION_REPORT has these fields in every version (AMD 56860)."""

_SIGNING_KEY_MASK, _SIGNING_KEY_SHIFT = 0b11100, 2
"""Bits 4:2 of KEY_INFO."""


def stored_veks(report: bytes, records: Iterable[Record]) -> tuple[bytes, ...]:
    """Return VEKs, each followed by its CA certificates, that may fit a report; DER.

    They come from stored evidence with the same CHIP_ID and REPORTED_TCB, byte for byte. Nobody
    vouches for them yet: who may write a status can put anything there. No VLEK is taken: a report
    does not name the provider, and another provider's would make it look forged.
    """
    if len(report) != REPORT_SIZE or _signing_key(report) != SigningKey.VCEK:
        return ()
    found: dict[bytes, tuple[bytes, ...]] = {}
    for vek, *issuers in _chains(report, records):
        found.setdefault(vek, tuple(issuers))
        if len(found) == MAX_VEKS:
            break
    return tuple(dict.fromkeys(each for vek, cas in found.items() for each in (vek, *cas)))


def _chains(report: bytes, records: Iterable[Record]) -> Iterator[tuple[bytes, ...]]:
    chip_id, tcb = report[_CHIP_ID], report[_REPORTED_TCB]
    for record in records:
        evidence = record.status.evidence
        if evidence is None or evidence.report[_CHIP_ID] != chip_id:
            continue
        same_key = _signing_key(evidence.report) == SigningKey.VCEK
        if evidence.report[_REPORTED_TCB] == tcb and same_key:
            yield from _chain(evidence)


def _chain(evidence: StoredEvidence) -> Iterator[tuple[bytes, ...]]:
    if evidence.certificates:
        yield evidence.certificates[:3]


def _signing_key(report: bytes) -> int:
    return (int.from_bytes(report[_KEY_INFO], "little") & _SIGNING_KEY_MASK) >> _SIGNING_KEY_SHIFT
