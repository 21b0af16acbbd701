"""A bundle of endorsements: certificates and revocation lists in one file, for where no KDS is.

The file is JSON: a manifest for its reader, and DER in base64. Its digests tell that it came
through whole, not who made it: whoever uses it verifies each entry against the pinned roots.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec

from nodeproof import __version__
from nodeproof.errors import BundleMalformed, CertificateMalformed, VerificationError
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.collateral import CRL, CRLItem, Item, classify
from nodeproof.sevsnp.endorsement import vek_extensions
from nodeproof.sevsnp.kds import vcek_name

T = TypeVar("T")

MAX_BUNDLE_SIZE = 32 * 1024 * 1024
"""Bytes of a bundle's file: some ten thousand VCEKs."""

MAX_ENTRY_SIZE = 1024 * 1024
"""Bytes of one certificate or list, DER."""

KIND = "EndorsementBundle"
VERSION = 1

LABEL = "nodeproof.dev/endorsements"
"""Label of each ConfigMap that the operator reads endorsements from; its value is ``true``."""

BUNDLE_LABEL = "nodeproof.dev/bundle"
"""Label of the ConfigMaps of one bundle, so that they can be deleted together."""

_MAX_MAP_SIZE = 240 * 1024
"""Characters of data in one ConfigMap: ``kubectl apply`` keeps a copy of the object in an
annotation, and all annotations together may have 256 KiB."""

_LARGEST_ENTRY = 1000 * 1024
"""Bytes of the largest entry that a ConfigMap can hold (1 MiB with all names)."""

_PREFIX = 12


class _Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Base of what the file is made of."""


class Entry(_Part, frozen=True):
    """What the manifest says of one certificate or list."""

    kind: str
    """``ARK``, ``ASK``, ``ASVK``, ``VCEK``, ``VLEK`` or ``CRL``."""
    product: str
    description: str
    """For a person; nothing depends on it."""
    sha256: str
    """Of the DER, 64 lower-case hexadecimal digits: its key in ``data``."""
    size: int
    """Bytes of DER."""


class Manifest(_Part, frozen=True):
    """What is in a bundle and where it comes from."""

    created_time: Annotated[datetime, msgspec.Meta(tz=True)]
    tool_version: str
    entries: tuple[Entry, ...]


class _File(_Part, frozen=True):
    kind: str
    version: int
    manifest: Manifest
    data: dict[str, bytes]


class _Head(msgspec.Struct, frozen=True):
    """What tells whether the rest can be read at all."""

    kind: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds, DER each; nothing of it is verified."""

    created_time: datetime
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]

    @property
    def identity(self) -> str:
        """The first digits of a SHA-256 over all entries, whenever and in whatever order packed."""
        digests = sorted(hashlib.sha256(der).digest() for der in (*self.certificates, *self.crls))
        return hashlib.sha256(b"".join(digests)).hexdigest()[:_PREFIX]


def encode(bundle: Bundle) -> bytes:
    """Return a bundle's file; the manifest comes first, so that a person sees it first.

    Raises:
        BundleMalformed: An entry is not one certificate or list with AMD's names, or is there
            twice; or all are too large for one file.
    """
    ders = (*bundle.certificates, *bundle.crls)
    entries = tuple(_entry(der) for der in ders)
    _check_distinct(entries)
    manifest = Manifest(_utc(bundle.created_time), __version__, entries)
    data = {entry.sha256: der for entry, der in zip(entries, ders, strict=True)}
    packed = msgspec.json.encode(_File(KIND, VERSION, manifest, data))
    file = msgspec.json.format(packed, indent=2) + b"\n"
    _check_size(len(file))
    return file


def decode(data: bytes) -> Bundle:
    """Return what a bundle's file holds, every digest compared.

    Raises:
        BundleMalformed: It is too large, no such file, or its manifest is not about its data.
    """
    _check_size(len(data))
    _check_head(data)
    file = _decode(data, _File)
    _check_distinct(file.manifest.entries)
    if {entry.sha256 for entry in file.manifest.entries} != file.data.keys():
        raise BundleMalformed("the bundle's manifest is not about its data")
    for entry in file.manifest.entries:
        _check_entry(entry, file.data[entry.sha256])
    items = [(entry.kind, file.data[entry.sha256]) for entry in file.manifest.entries]
    return Bundle(
        created_time=_utc(file.manifest.created_time),
        certificates=tuple(der for kind, der in items if kind != CRL),
        crls=tuple(der for kind, der in items if kind == CRL),
    )


def describe(item: Item) -> str:
    """Return what tells an entry from others of its kind, for a person."""
    if isinstance(item, CRLItem):
        revoked = ", ".join(f"{serial:#x}" for serial in sorted(item.crl.serials)) or "nothing"
        return f"of {_day(item.crl.this_update)}, revokes {revoked}"[:200]
    certificate = item.certificate
    try:
        if certificate.role is Role.VCEK:
            name = vcek_name(certificate)
            return f"chip {name.hw_id.hex()[:16]}, {name.tcb}"
        if certificate.role is Role.VLEK:
            return f"provider {vek_extensions(certificate).csp_id}"
    except VerificationError as error:
        return error.message
    return f"serial number {certificate.serial:#x}"


def only_item(der: bytes) -> Item:
    """Return the one certificate or list in an entry.

    Raises:
        BundleMalformed: It is none, or more, or not DER.
    """
    try:
        items = classify(der)
    except CertificateMalformed as error:
        raise BundleMalformed(error.message, observed=error.observed) from error
    if len(items) != 1 or items[0].der != der:
        raise BundleMalformed(
            "an entry is not one certificate or revocation list of AMD's",
            expected="DER",
            observed=f"SHA-256 {_digest(der)}",
        )
    return items[0]


def config_maps(bundle: Bundle, namespace: str) -> list[dict[str, Any]]:
    """Return the ConfigMaps that hand a bundle to an operator; the same bundle gives the same.

    Raises:
        BundleMalformed: An entry is too large for a ConfigMap.
    """
    values = [(f"{_digest(der)[:16]}.der", der) for der in bundle.certificates]
    values += [(f"{_digest(der)[:16]}.crl", der) for der in bundle.crls]
    return [
        _config_map(f"nodeproof-bundle-{bundle.identity}-{number}", namespace, bundle, group)
        for number, group in enumerate(_groups(values))
    ]


def _config_map(
    name: str, namespace: str, bundle: Bundle, values: dict[str, str]
) -> dict[str, Any]:
    labels = {LABEL: "true", BUNDLE_LABEL: bundle.identity}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "binaryData": values,
    }


def _groups(values: Iterable[tuple[str, bytes]]) -> Iterator[dict[str, str]]:
    group: dict[str, str] = {}
    size = 0
    for key, der in values:
        if len(der) > _LARGEST_ENTRY:
            raise BundleMalformed(
                "an entry is too large for a ConfigMap",
                expected=f"at most {_LARGEST_ENTRY} bytes",
                observed=f"{len(der)} bytes",
            )
        encoded = b64encode(der).decode("ascii")
        cost = len(key) + len(encoded) + len('"":"",')
        if group and size + cost > _MAX_MAP_SIZE:
            yield group
            group, size = {}, 0
        group[key] = encoded
        size += cost
    if group:
        yield group


def _entry(der: bytes) -> Entry:
    item = only_item(der)
    return Entry(item.kind, str(item.product), describe(item), _digest(der), len(der))


def _check_head(data: bytes) -> None:
    head = _decode(data, _Head)
    if (head.kind, head.version) != (KIND, VERSION):
        raise BundleMalformed(
            "this is not a bundle that can be read",
            expected=f"{KIND} of version {VERSION}",
            observed=f"{head.kind[:64] or 'another JSON object'} of version {head.version}",
        )


def _check_entry(entry: Entry, der: bytes) -> None:
    if len(der) > MAX_ENTRY_SIZE or len(der) != entry.size or _digest(der) != entry.sha256:
        raise BundleMalformed(
            "an entry of the bundle has been changed or cut",
            expected=f"{entry.size} bytes, SHA-256 {entry.sha256[:64]}",
            observed=f"{len(der)} bytes, SHA-256 {_digest(der)}",
        )
    item = only_item(der)
    if (item.kind, item.product) != (entry.kind, entry.product):
        raise BundleMalformed(
            "an entry of the bundle is not what its manifest says",
            expected=f"{entry.kind[:16]} of {entry.product[:16]}",
            observed=f"{item.kind} of {item.product}",
        )


def _check_distinct(entries: tuple[Entry, ...]) -> None:
    if len({entry.sha256 for entry in entries}) != len(entries):
        raise BundleMalformed("the bundle names an entry twice")


def _check_size(size: int) -> None:
    if size > MAX_BUNDLE_SIZE:
        raise BundleMalformed(
            "the bundle is too large",
            expected=f"at most {MAX_BUNDLE_SIZE} bytes",
            observed=f"{size} bytes",
        )


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleMalformed("the bundle cannot be read", expected="JSON") from error


def _utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise BundleMalformed("the bundle's time is out of all bounds") from error


def _day(time: datetime) -> str:
    return time.date().isoformat()


def _digest(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()
