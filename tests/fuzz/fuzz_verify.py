"""Coverage-guided fuzzing of the verifier: no bytes may bring out anything but a verdict.

    python tests/fuzz/run_fuzz_verify.py [libFuzzer options] tests/fuzz/corpus

An input is a row of pieces, each a kind, a size (two bytes, big-endian) and that many bytes. What
atheris finds to crash belongs into the corpus, where ``test_fuzz_verify.py`` replays it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import IntEnum
from functools import cache
from pathlib import Path

from nodeproof.errors import VerificationError
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.crl import Revocation
from nodeproof.sevsnp.roots import TrustAnchor, simulated_anchor
from nodeproof.sevsnp.verify import verify

FOLDER = Path(__file__).parent
CORPUS = FOLDER / "corpus"
ROOTS = FOLDER / "roots.pem"
"""Certificates of the simulated roots whose keys signed the corpus; the keys are gone."""

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When the corpus was made."""

_HEADER = 3
_END = b"-----END CERTIFICATE-----\n"


class Kind(IntEnum):
    """What a piece of an input is given to the verifier as."""

    REPORT = 0
    CERTIFICATE = 1
    CERTIFICATE_TABLE = 2
    CRL = 3


def join(pieces: Iterable[tuple[Kind, bytes]]) -> bytes:
    """Return the input that ``split`` takes apart again."""
    return b"".join(bytes((kind, *len(data).to_bytes(2, "big"))) + data for kind, data in pieces)


def split(data: bytes) -> Iterator[tuple[Kind, bytes]]:
    """Yield the pieces of any bytes; the last may be cut short."""
    while len(data) >= _HEADER:
        end = _HEADER + int.from_bytes(data[1:_HEADER], "big")
        yield Kind(data[0] % len(Kind)), data[_HEADER:end]
        data = data[end:]


@cache
def anchors() -> tuple[TrustAnchor, ...]:
    """Return the roots of the corpus."""
    return tuple(simulated_anchor(part + _END) for part in ROOTS.read_bytes().split(_END)[:-1])


def judge(data: bytes) -> bool:
    """Tell whether an input is genuine evidence; any error but a refusal is a finding."""
    found: dict[Kind, list[bytes]] = {kind: [] for kind in Kind}
    for kind, piece in split(data):
        found[kind].append(piece)
    try:
        tables = [parse_certificate_table(table) for table in found[Kind.CERTIFICATE_TABLE]]
        verify(
            b"".join(found[Kind.REPORT]),
            [*found[Kind.CERTIFICATE], *(each for table in tables for each in table)],
            anchors=anchors(),
            now=NOW,
            report_data=None,
            revocation=Revocation(tuple(found[Kind.CRL]), required=bool(found[Kind.CRL])),
        )
    except VerificationError:
        return False
    return True
