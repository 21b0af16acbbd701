"""What is verified: a genuine report of each product where there are any, else a simulated one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.certtable import TableEntry, build_certificate_table
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import AMD_ROOTS, TrustAnchor
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine, SimulatedProcessor

VECTORS = Path(os.environ.get("NODEPROOF_VECTORS", Path(__file__).parents[2] / "shared/vectors"))
"""Where genuine reports are: ``NODEPROOF_VECTORS``, or ``shared/vectors`` beside the project."""

GENUINE: Mapping[Product, str] = {
    Product.MILAN: "milan-v5-vcek-1",
    Product.GENOA: "genoa-v3-vcek-1",
    Product.TURIN: "turin-v5-vcek-1",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """One report, and all that its verification needs."""

    origin: str
    """``genuine`` or ``simulated``."""
    report: bytes
    certificates: tuple[bytes, ...]
    """DER of VCEK, ASK and ARK."""
    anchors: Sequence[TrustAnchor]
    at: datetime

    @property
    def table(self) -> bytes:
        """The certificates as a host hands them out."""
        kinds = (TableEntry.VCEK, TableEntry.ASK, TableEntry.ARK)
        return build_certificate_table(dict(zip(kinds, self.certificates, strict=True)))


def subject(product: Product) -> Subject:
    """Return the report of a product that is measured."""
    folder = VECTORS / GENUINE[product]
    return _genuine(folder) if folder.is_dir() else _simulated(product)


def _genuine(folder: Path) -> Subject:
    files = [(folder / name).read_bytes() for name in ("vek.der", "ask.pem", "ark.pem")]
    return Subject(
        origin="genuine",
        report=(folder / "report.bin").read_bytes(),
        certificates=tuple(each.der for each in load_certificates(files)),
        anchors=AMD_ROOTS,
        at=datetime.fromisoformat(json.loads((folder / "vector.json").read_bytes())["valid_at"]),
    )


def _simulated(product: Product) -> Subject:
    now = datetime.now(UTC)
    authority = SimulatedAuthority.create(product, now)
    machine = SimulatedMachine.launch(SimulatedProcessor.create(authority, now=now))
    return Subject(
        origin="simulated",
        report=machine.attest(bytes(range(64))),
        certificates=tuple(each.der for each in load_certificates(machine.processor.certificates)),
        anchors=(authority.anchor(),),
        at=now,
    )
