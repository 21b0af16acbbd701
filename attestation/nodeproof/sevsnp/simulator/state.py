"""A simulated machine in a directory: what an agent loads whenever it wants a report."""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from nodeproof.errors import CertificateMalformed
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator.files import read_key, write_public
from nodeproof.sevsnp.tcb import TCBVersion

STATE_FILE = "machine.json"
CERTIFICATES_FILE = "certificates.bin"
"""The certificate table that the host hands out."""
KEY_FILE = "vcek.key"


class MachineState(msgspec.Struct, frozen=True, rename="camel"):
    """``machine.json``: all of a machine but its key and certificates; bytes in hexadecimal."""

    product: Product
    chip_id: str = msgspec.field(name="chipID")
    tcb: TCBVersion
    measurement: str
    policy: int
    report_version: int
    boot_id: str = msgspec.field(name="bootID")
    report_id: str = msgspec.field(name="reportID")


def render(state: MachineState) -> str:
    """Return the text of ``machine.json``."""
    return msgspec.json.format(msgspec.json.encode(state).decode(), indent=2) + "\n"


def write_state(directory: Path, state: MachineState) -> None:
    """Write ``machine.json`` in one step."""
    write_public(directory / STATE_FILE, render(state).encode())


def read_state(directory: Path) -> MachineState:
    """Return what ``machine.json`` holds.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: It does not hold what ``write_state`` wrote.
    """
    return msgspec.json.decode((directory / STATE_FILE).read_bytes(), type=MachineState)


def read_certificates(directory: Path) -> tuple[bytes, bytes, bytes]:
    """Return VCEK, ASK and ARK.

    Raises:
        OSError: The file is missing or cannot be read.
        CertificateMalformed: It does not hold these three.
    """
    match parse_certificate_table((directory / CERTIFICATES_FILE).read_bytes()):
        case (vcek, ask, ark):
            return vcek, ask, ark
        case others:
            raise CertificateMalformed(
                "this is not the certificate table of a simulated machine",
                expected="VCEK, ASK and ARK",
                observed=f"{len(others)} certificates",
            )


def read_vcek_key(directory: Path) -> EllipticCurvePrivateKey:
    """Return the VCEK's private key.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: It does not hold such a key.
    """
    key = read_key(directory / KEY_FILE)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError(f"{KEY_FILE} holds no EC key")  # noqa: TRY004 - a wrong file, not a type
    return key
