"""Evidence to be judged, and what it is made from: genuine reports and the simulated platform's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from cryptography.hazmat.primitives.serialization import Encoding

from fakes import genuine, simulated
from nodeproof.sevsnp.certificates import Role, load_certificates
from nodeproof.sevsnp.extensions import AMD_ARC
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import AMD_ROOTS, TrustAnchor
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.sevsnp.simulator.issuing import Signer, issue_ca, issue_vek, vcek_extensions

_CSP_ID = b"\x16\x0fCN=cc.example.x"
_VLEK_REPORT: dict[str, Any] = {"key_info": 1 << 2, "chip_id": bytes(64)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A report with its certificates, by whom it is judged and when."""

    name: str
    """Whose report it is and what was done to it."""
    report: bytes
    certificates: tuple[bytes, ...]
    """VEK, intermediate and root in DER, in this order unless the order is what was changed."""
    anchors: tuple[TrustAnchor, ...]
    at: datetime
    crl: bytes | None = None
    """A revocation list in DER, which is then required; None leaves revocation out."""
    trusted_root: bytes | None = None
    """The root to trust where it is not the one among the certificates; DER."""
    product: str = ""
    """What a report of version 2 is expected to come from; empty for any."""

    def but(self, what: str, **changes: Any) -> Self:
        """Return the same with changes, which the name then tells."""
        return replace(self, name=f"{self.name}: {what}", **changes)

    def with_certificate(self, what: str, position: int, certificate: bytes) -> Self:
        """Return the same with another certificate at this position of the chain."""
        chain = [*self.certificates]
        chain[position] = certificate
        return self.but(what, certificates=tuple(chain))


def flipped(data: bytes, bit: int) -> bytes:
    """Return the data with one bit inverted; bit 0 is the lowest of the first byte."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def overwritten(data: bytes, offset: int, value: bytes) -> bytes:
    """Return the data with other bytes at this offset."""
    return data[:offset] + value + data[offset + len(value) :]


def genuine_evidence() -> Iterator[Evidence]:
    """Yield every genuine report that comes with a chain."""
    for vector in genuine.load_all():
        if vector.certificates:
            yield Evidence(
                name=vector.name,
                report=vector.report,
                certificates=_der(vector.certificates),
                anchors=AMD_ROOTS,
                at=vector.valid_at,
            )


def simulated_evidence() -> Iterator[Evidence]:
    """Yield one report of every product and kind that the simulated platform makes."""
    for product in Product:
        for version in (3, 5):
            machine = simulated.machine(product, report_version=version)
            yield of_machine(machine, f"simulated-{product.lower()}-v{version}")
    yield vlek_evidence()


def of_machine(machine: SimulatedMachine, name: str, **changes: Any) -> Evidence:
    """Return a report of a simulated machine in which the fields in ``changes`` state otherwise."""
    return Evidence(
        name=name,
        report=simulated.report(machine, **changes),
        certificates=machine.processor.certificates,
        anchors=(simulated.authority(machine.product).anchor(),),
        at=simulated.NOW,
    )


def vlek_evidence(name: str = "simulated-milan-vlek", **changes: Any) -> Evidence:
    """Return a report of a simulated Milan that a VLEK has signed, with changes to its fields."""
    machine = simulated.machine(Product.MILAN)
    authority = simulated.authority(Product.MILAN)
    extensions = vcek_extensions(machine.product, machine.chip_id, machine.processor.tcb)
    del extensions[f"{AMD_ARC}.4"]
    extensions |= {f"{AMD_ARC}.2": b"\x16\x05Milan", f"{AMD_ARC}.5": _CSP_ID}
    # The ASVK has the ASK's key: no rule forbids it, and RSA keys take a second to find.
    asvk = issue_ca(
        Role.ASVK,
        authority.ask_key.public_key(),
        Signer(Product.MILAN, authority.ark_key, simulated.NOW),
    )
    signer = Signer(Product.MILAN, authority.ask_key, simulated.NOW)
    vlek = issue_vek(Role.VLEK, machine.processor.vcek_key.public_key(), extensions, signer)
    chain = (vlek, asvk.public_bytes(Encoding.DER), authority.certificates()[1])
    evidence = of_machine(machine, name, **_VLEK_REPORT | changes)
    return replace(evidence, certificates=chain)


def _der(certificates: list[bytes]) -> tuple[bytes, ...]:
    return tuple(each.der for each in load_certificates(certificates))
