"""Simulated collateral: what AMD's key service hands out, as files and as answers."""

from __future__ import annotations

from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding

from fakes import simulated
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.extensions import AMD_ARC
from nodeproof.sevsnp.kds import CAName, CollateralName, CRLName, vcek_names
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.simulator.hardware import TCB_VERSIONS
from nodeproof.sevsnp.simulator.issuing import Signer, issue_ca, issue_vek, vcek_extensions

NOW = simulated.NOW
PROVIDER = "CN=cc-test.example"


def anchors() -> tuple[TrustAnchor, ...]:
    """Return the simulated roots of all products."""
    return tuple(simulated.authority(product).anchor() for product in Product)


@cache
def asvk(product: Product) -> bytes:
    """Return an ASVK (DER) with the key of the ASK, which no rule forbids."""
    authority = simulated.authority(product)
    signer = Signer(product, authority.ark_key, NOW)
    return issue_ca(Role.ASVK, authority.ask_key.public_key(), signer).public_bytes(Encoding.DER)


@cache
def vlek(product: Product) -> bytes:
    """Return a VLEK (DER) under that ASVK."""
    extensions = vcek_extensions(product, bytes(64), TCB_VERSIONS[product])
    del extensions[f"{AMD_ARC}.4"]
    provider = PROVIDER.encode()
    extensions[f"{AMD_ARC}.5"] = bytes((0x16, len(provider))) + provider
    signer = Signer(product, simulated.authority(product).ask_key, NOW)
    return issue_vek(Role.VLEK, generate_private_key(SECP384R1()).public_key(), extensions, signer)


def pem(*certificates: bytes) -> bytes:
    """Return DER certificates as one PEM text."""
    return b"".join(
        x509.load_der_x509_certificate(each).public_bytes(Encoding.PEM) for each in certificates
    )


def chain(authority: SimulatedAuthority, intermediate: Role = Role.ASK) -> bytes:
    """Return a ``cert_chain`` as the service has it: PEM, the intermediate first."""
    ask, ark = authority.certificates()
    return pem(ask if intermediate is Role.ASK else asvk(authority.product), ark)


def offers(*machines: SimulatedMachine) -> dict[CollateralName, bytes]:
    """Return all that a service hands out which knows these machines, and all products."""
    offered: dict[CollateralName, bytes] = {}
    for product in Product:
        authority = simulated.authority(product)
        crl = authority.issue_crl(NOW)
        for intermediate in (Role.ASK, Role.ASVK):
            offered[CAName(product, intermediate)] = chain(authority, intermediate)
            offered[CRLName(product, intermediate)] = crl
    for machine in machines:
        (name,) = vcek_names(machine.attest(bytes(64)))
        offered[name] = machine.processor.certificates[0]
    return offered
