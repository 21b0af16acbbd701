"""Files of strangers: read up to a bound, taken apart, and passed over where they are others.

The verifier refuses what it cannot read, since nobody should hand it such things. A folder holds
what it holds: here is where the certificates are picked out of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nodeproof.errors import CertificateMalformed, RevocationUnknown
from nodeproof.sevsnp.certificates import Certificate, load_certificates
from nodeproof.sevsnp.crl import MAX_CRL_SIZE, load_crl

MAX_REPORT_FILE_SIZE = 64 * 1024
"""Bytes read of a report's file: many more than a report has, so that the verifier can say so."""

MAX_CERTIFICATE_FILE_SIZE = 1024 * 1024
"""Bytes of a file that may hold certificates; a larger one is passed over."""

_DASHES = b"-----"


def read_report(path: Path) -> bytes:
    """Return the start of a file, at most one byte more than ``MAX_REPORT_FILE_SIZE``.

    Raises:
        OSError: The file cannot be read.
    """
    return read_bounded(path, MAX_REPORT_FILE_SIZE)


def read_certificates(directory: Path) -> tuple[Certificate, ...]:
    """Return AMD's certificates in a folder, without duplicates; other files are passed over.

    Raises:
        OSError: The folder, or a file in it, cannot be read.
    """
    found: dict[bytes, Certificate] = {}
    for data in _files(directory, MAX_CERTIFICATE_FILE_SIZE):
        found.update((each.der, each) for each in certificates_in(data))
    return tuple(found.values())


def certificates_in(data: bytes) -> Iterator[Certificate]:
    """Yield AMD's certificates in a file's content; what is none is passed over."""
    for part in _parts(data, (b"CERTIFICATE", b"X509 CERTIFICATE")):
        with suppress(CertificateMalformed):
            yield from load_certificates([part])


def read_crls(path: Path) -> tuple[bytes, ...]:
    """Return the revocation lists in a file or folder; what is none is passed over.

    Raises:
        OSError: The file or folder, or a file in it, cannot be read.
    """
    files = _files(path, MAX_CRL_SIZE) if path.is_dir() else [read_bounded(path, MAX_CRL_SIZE)]
    return tuple(crl for data in files for crl in crls_in(data))


def crls_in(data: bytes) -> Iterator[bytes]:
    """Yield the revocation lists in a file's content, DER or PEM; what is none is passed over."""
    return filter(_is_crl, _parts(data, (b"X509 CRL",)))


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the start of a file, at most one byte more than the limit.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return file.read(limit + 1)


def _is_crl(data: bytes) -> bool:
    try:
        load_crl(data)
    except RevocationUnknown:
        return False
    return True


def _files(directory: Path, limit: int) -> Iterator[bytes]:
    """Yield the files of a folder up to a size, by name; pipes, devices and folders are left."""
    for path in sorted(directory.iterdir()):
        if path.is_file():
            data = read_bounded(path, limit)
            if len(data) <= limit:
                yield data


def _parts(data: bytes, labels: tuple[bytes, ...]) -> Iterator[bytes]:
    """Yield each PEM block with one of these labels; without any block, the file as it is."""
    if _DASHES + b"BEGIN " not in data:
        yield data
    for label in labels:
        begin, end = (_DASHES + word + label + _DASHES for word in (b"BEGIN ", b"END "))
        for rest in data.split(begin)[1:]:
            body, ending, _ = rest.partition(end)
            yield begin + body + ending + b"\n"
