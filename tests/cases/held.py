"""Simulated certificates and lists as values: of nodes, of the authority, and of a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fakes import simulated
from fakes.simulated import NOW, authority
from nodeproof.result import NodeAttestationStatus, StoredEvidence
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.kds import CAName, CRLName, VCEKName, vcek_names
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.simulator.issuing import Signer, issue_ca
from nodeproof_operator.cluster.views import Record

MILAN_CA = CAName(Product.MILAN, Role.ASK)
MILAN_CRL = CRLName(Product.MILAN, Role.ASK)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Clock:
    """The time that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def node(seed: int = 0) -> SimulatedMachine:
    """Return the same machine for the same seed, key and VCEK included."""
    return _node(seed)


@cache
def _node(seed: int) -> SimulatedMachine:
    return simulated.machine(Product.MILAN, seed=seed)


def report_of(seed: int = 0, **changes: Any) -> bytes:
    """Return a report of a node; ``changes`` are fields of ``ReportFields``."""
    return simulated.report(node(seed), **changes)


def vcek_of(seed: int = 0) -> bytes:
    return node(seed).processor.certificates[0]


def name_of(seed: int = 0) -> VCEKName:
    (name,) = vcek_names(report_of(seed))
    return name


def ca(of: SimulatedAuthority | None = None) -> tuple[bytes, bytes]:
    """Return ASK and ARK in DER."""
    return (of or authority()).certificates()


def revoking(now: datetime = NOW) -> bytes:
    """Return the list that names the ASK."""
    return authority().issue_crl(
        now, [x509.load_pem_x509_certificate(authority().ask).serial_number]
    )


def record_of(report: bytes, certificates: tuple[bytes, ...], name: str = "node-1") -> Record:
    """Return a NodeAttestation whose stored evidence is this; nobody has verified it."""
    evidence = StoredEvidence(
        sequence=1, challenge=b"", boot_id="boot", report=report, certificates=certificates
    )
    return Record(name, f"{name}-uid", "1", "node-uid", NodeAttestationStatus(evidence=evidence))


def another_ask(days_older: int) -> bytes:
    """Return the ASK as it was issued earlier, in DER."""
    of = authority()
    signer = Signer(of.product, of.ark_key, NOW - days_older * DAY)
    issued = issue_ca(Role.ASK, of.ask_key.public_key(), signer, serial=1000 + days_older)
    return issued.public_bytes(Encoding.DER)
