"""The files that a bundle is made from: evidence, certificates, lists, in whatever form."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from nodeproof.errors import CertificateMalformed, VerificationError
from nodeproof.result import NodeAttestationStatus
from nodeproof.sevsnp.certificates import Certificate, load_certificates
from nodeproof.sevsnp.kds import VCEKName, vcek_names_in
from nodeproof.sevsnp.layout import REPORT_SIZE
from nodeproof.sevsnp.statement import read_statement
from nodeproof_cli.reading import (
    certificates_in,
    crls_in,
    read_bounded,
    read_certificates,
    read_crls,
)
from nodeproof_cli.surroundings import Unusable, tell

MAX_SOURCE_SIZE = 256 * 1024 * 1024
"""Bytes of one file: ``kubectl get nodeattestations`` of some ten thousand nodes."""


@dataclass(slots=True)
class Gathered:
    """What was found; nothing of it is verified."""

    reports: dict[bytes, str] = field(default_factory=dict)
    """Reports that can be read, each with where it was found."""
    awaited: dict[VCEKName, str] = field(default_factory=dict)
    """VCEKs that nodes wait for, each with where that was found."""
    certificates: dict[bytes, Certificate] = field(default_factory=dict)
    """By DER."""
    crls: dict[bytes, None] = field(default_factory=dict)


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""


class _NodeAttestation(msgspec.Struct, frozen=True):
    """As much of a NodeAttestation, or of a list of them, as is wanted here."""

    kind: str
    metadata: _Metadata = _Metadata()
    status: NodeAttestationStatus = NodeAttestationStatus()
    items: tuple[_NodeAttestation, ...] = ()


def gather(sources: Iterable[Path]) -> Gathered:
    """Return what is in some files and folders.

    Raises:
        OSError: One of them cannot be read.
        Unusable: A file is none of those that are known.
    """
    gathered = Gathered()
    for source in sources:
        if source.is_dir():
            _add(gathered, read_certificates(source), read_crls(source))
        else:
            _gather_file(source, gathered)
    return gathered


def _gather_file(path: Path, gathered: Gathered) -> None:
    data = read_bounded(path, MAX_SOURCE_SIZE)
    if len(data) > MAX_SOURCE_SIZE:
        raise Unusable(f"{path} is larger than {MAX_SOURCE_SIZE} bytes")
    if len(data) == REPORT_SIZE:
        _add_report(gathered, data, str(path))
        return
    if data.lstrip()[:1] == b"{":
        _gather_objects(path, data, gathered)
        return
    certificates, crls = tuple(certificates_in(data)), tuple(crls_in(data))
    if not certificates and not crls:
        raise Unusable(
            f"{path} is neither a report, nor JSON of kubectl get nodeattestations, nor a "
            "certificate or revocation list of AMD's"
        )
    _add(gathered, certificates, crls)


def _gather_objects(path: Path, data: bytes, gathered: Gathered) -> None:
    try:
        found = msgspec.json.decode(data, type=_NodeAttestation)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unusable(f"{path} is not JSON of kubectl get nodeattestations: {error}") from error
    objects = found.items if found.kind.endswith("List") else (found,)
    for each in objects:
        if each.kind != "NodeAttestation":
            raise Unusable(f"{path} holds a {each.kind[:64]} and not only NodeAttestations")
        _add_evidence(gathered, each)


def _add_evidence(gathered: Gathered, attestation: _NodeAttestation) -> None:
    origin = f"node {attestation.metadata.name}"
    evidence, deferral = attestation.status.evidence, attestation.status.deferral
    if deferral is not None:
        for name in vcek_names_in(deferral.expected):
            gathered.awaited.setdefault(name, origin)
    if evidence is None:
        return
    _add_report(gathered, evidence.report, origin)
    for der in evidence.certificates:
        with suppress(CertificateMalformed):
            _add(gathered, load_certificates([der]), ())


def _add_report(gathered: Gathered, report: bytes, origin: str) -> None:
    try:
        read_statement(report)
    except VerificationError as error:
        tell(f"{origin}: passed over, {error}")
        return
    gathered.reports.setdefault(report, origin)


def _add(gathered: Gathered, certificates: Iterable[Certificate], crls: Iterable[bytes]) -> None:
    gathered.certificates.update((each.der, each) for each in certificates)
    gathered.crls.update(dict.fromkeys(crls))
