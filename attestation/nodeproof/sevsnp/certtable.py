"""The certificate table that a host hands to its guest with a report (AMD 56421, GHCB).

A table is a list of 24-byte entries — GUID in the order it is written, offset and length, both 32
bits little-endian — that ends with an entry of zeros; the certificates lie behind it. The host can
put in anything, so nothing of it is believed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import Enum
from uuid import UUID

from nodeproof.errors import CertificateMalformed

MAX_TABLE_SIZE = 64 * 1024
"""Bytes of the largest table that is read; hosts hand out four to sixteen KiB."""

_ENTRY = struct.Struct("<16sII")
_END = bytes(_ENTRY.size)


class TableEntry(Enum):
    """The GUIDs of entries that hold certificates (AMD 56421, extended guest request)."""

    VCEK = UUID("63da758d-e664-4564-adc5-f4b93be8accd")
    VLEK = UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1")
    ASK = UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782")
    """The ASK of a VCEK, or the ASVK of a VLEK."""
    ARK = UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae")


_KNOWN = {entry.value.bytes: entry for entry in TableEntry}


def parse_certificate_table(data: bytes) -> tuple[bytes, ...]:
    """Return the certificates in a table as they were found, DER or PEM.

    Entries of other kinds are passed over. No bytes at all are a table without certificates.

    Raises:
        CertificateMalformed: The table is too large, has no end, names a certificate twice, or an
            entry points outside of it.
    """
    if len(data) > MAX_TABLE_SIZE:
        raise CertificateMalformed(
            "the certificate table is too large",
            expected=f"at most {MAX_TABLE_SIZE} bytes",
            observed=f"{len(data)} bytes",
        )
    if not data:
        return ()
    entries = tuple(_entries(data))
    header_size = (len(entries) + 1) * _ENTRY.size
    found: dict[bytes, bytes] = {}
    for guid, offset, length in entries:
        _check_bounds(offset, length, header_size, len(data))
        if guid in found:
            raise CertificateMalformed(
                "the certificate table is ambiguous", observed=f"two {_KNOWN[guid]}"
            )
        if guid in _KNOWN:
            found[guid] = data[offset : offset + length]
    return tuple(found.values())


def build_certificate_table(certificates: Mapping[TableEntry, bytes]) -> bytes:
    """Return the table that holds these certificates, in their order."""
    offset = (len(certificates) + 1) * _ENTRY.size
    header = b""
    for kind, certificate in certificates.items():
        header += _ENTRY.pack(kind.value.bytes, offset, len(certificate))
        offset += len(certificate)
    return b"".join((header, _END, *certificates.values()))


def _entries(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield GUID, offset and length of the entries before the end mark."""
    for position in range(0, len(data) - _ENTRY.size + 1, _ENTRY.size):
        if data[position : position + _ENTRY.size] == _END:
            return
        yield _ENTRY.unpack_from(data, position)
    raise CertificateMalformed("the certificate table has no end", expected="an entry of zeros")


def _check_bounds(offset: int, length: int, header_size: int, size: int) -> None:
    if offset < header_size or offset + length > size:
        raise CertificateMalformed(
            "an entry of the certificate table points outside of it",
            expected=f"bytes {header_size} to {size}",
            observed=f"{length} bytes at {offset}",
        )
