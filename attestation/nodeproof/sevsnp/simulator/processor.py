"""The stand-ins for a chip with its firmware, and for a confidential VM that runs on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random, SystemRandom
from typing import Self
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP384R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)

from nodeproof.binding import REPORT_DATA_SIZE
from nodeproof.policy import MEASUREMENT_SIZE
from nodeproof.sevsnp.certtable import TableEntry, build_certificate_table
from nodeproof.sevsnp.products import HW_ID_SIZES, Product
from nodeproof.sevsnp.simulator import hardware, state
from nodeproof.sevsnp.simulator.authority import SimulatedAuthority
from nodeproof.sevsnp.simulator.encoding import (
    ReportFields,
    encode_report,
    encode_tcb,
    sign_report,
)
from nodeproof.sevsnp.simulator.files import write_key, write_public
from nodeproof.sevsnp.tcb import TCBVersion

CHIP_ID_SIZE = 64
"""Bytes of CHIP_ID; on Turin only the first eight are used."""

REPORT_ID_SIZE = 32
"""Bytes of REPORT_ID."""

MEASUREMENT = hashlib.sha384(b"nodeproof simulated guest image").digest()
"""The launch digest of a machine that nobody gave another."""

POLICY = 0x30000
"""A guest policy that allows SMT; bit 17 is set in every one."""

DEBUG_POLICY = POLICY | 1 << 19
"""The same, and the host may read the guest's memory."""

REPORT_VERSIONS = (3, 5)
"""Report versions that a machine can be given."""

_SYSTEM_RANDOM = SystemRandom()


@dataclass(frozen=True, slots=True)
class SimulatedProcessor:
    """One chip with its firmware, and the VCEK of both."""

    product: Product
    chip_id: bytes
    """64 bytes, as in CHIP_ID."""
    tcb: TCBVersion
    certificates: tuple[bytes, bytes, bytes]
    """DER of VCEK, ASK and ARK."""
    vcek_key: EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(
        cls,
        authority: SimulatedAuthority,
        *,
        now: datetime,
        tcb: TCBVersion | None = None,
        random: Random = _SYSTEM_RANDOM,
    ) -> Self:
        """Return a new chip with firmware of this version, endorsed by the authority.

        ``random`` gives the chip its ID; the key is always of the system's randomness.
        """
        product = authority.product
        chip_id = random.randbytes(HW_ID_SIZES[product]).ljust(CHIP_ID_SIZE, b"\0")
        key, tcb = generate_private_key(SECP384R1()), tcb or hardware.TCB_VERSIONS[product]
        vcek = authority.issue_vcek(key.public_key(), chip_id, tcb, now)
        return cls(
            product=product,
            chip_id=chip_id,
            tcb=tcb,
            certificates=(vcek, *authority.certificates()),
            vcek_key=key,
        )

    def sign(self, fields: ReportFields) -> bytes:
        """Return the report that states this, 1,184 bytes, signed with the VCEK."""
        return sign_report(encode_report(fields), self.vcek_key)

    def certificate_table(self) -> bytes:
        """Return the host's certificate table: VCEK, ASK and ARK."""
        entries = (TableEntry.VCEK, TableEntry.ASK, TableEntry.ARK)
        return build_certificate_table(dict(zip(entries, self.certificates, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedMachine:
    """One guest from launch to shutdown."""

    processor: SimulatedProcessor
    measurement: bytes
    """48 bytes: the launch digest."""
    policy: int
    """The guest policy, 64 bits."""
    report_version: int
    boot_id: str
    """What Linux would give in ``/proc/sys/kernel/random/boot_id``."""
    report_id: bytes
    """32 bytes: this launch's REPORT_ID."""

    @classmethod
    def launch(
        cls,
        processor: SimulatedProcessor,
        *,
        measurement: bytes = MEASUREMENT,
        policy: int = POLICY,
        report_version: int = 5,
        random: Random = _SYSTEM_RANDOM,
    ) -> Self:
        """Return a guest that was just launched; ``random`` gives it boot ID and REPORT_ID.

        Raises:
            ValueError: The measurement is not 48 bytes, or the report version is not simulated.
        """
        if len(measurement) != MEASUREMENT_SIZE:
            raise ValueError(f"a measurement has {MEASUREMENT_SIZE} bytes, not {len(measurement)}")
        if report_version not in REPORT_VERSIONS:
            raise ValueError(f"report versions are {REPORT_VERSIONS}, not {report_version}")
        return cls(
            processor=processor,
            measurement=measurement,
            policy=policy,
            report_version=report_version,
            boot_id=str(UUID(bytes=random.randbytes(16), version=4)),
            report_id=random.randbytes(REPORT_ID_SIZE),
        )

    def reboot(
        self,
        *,
        measurement: bytes | None = None,
        policy: int | None = None,
        random: Random = _SYSTEM_RANDOM,
    ) -> Self:
        """Return the guest after its next launch, with what is given changed."""
        return self.launch(
            self.processor,
            measurement=self.measurement if measurement is None else measurement,
            policy=self.policy if policy is None else policy,
            report_version=self.report_version,
            random=random,
        )

    @property
    def product(self) -> Product:
        """The product of the processor under this guest."""
        return self.processor.product

    @property
    def chip_id(self) -> bytes:
        """CHIP_ID of the processor under this guest, 64 bytes."""
        return self.processor.chip_id

    def attest(self, report_data: bytes, vmpl: int = 0) -> bytes:
        """Return a report over these 64 bytes, 1,184 bytes.

        Raises:
            ValueError: ``report_data`` is not 64 bytes.
        """
        return self.processor.sign(self.report_fields(report_data, vmpl))

    def certificate_table(self) -> bytes:
        """Return the certificate table that the host hands out with a report."""
        return self.processor.certificate_table()

    def report_fields(self, report_data: bytes, vmpl: int = 0) -> ReportFields:
        """Return what a report of this guest states.

        Raises:
            ValueError: ``report_data`` is not 64 bytes.
        """
        if len(report_data) != REPORT_DATA_SIZE:
            raise ValueError(f"REPORT_DATA has {REPORT_DATA_SIZE} bytes, not {len(report_data)}")
        tcb = encode_tcb(self.processor.tcb, self.product)
        return ReportFields(
            version=self.report_version,
            policy=self.policy,
            cpuid=hardware.CPUIDS[self.product],
            chip_id=self.chip_id,
            current_tcb=tcb,
            reported_tcb=tcb,
            committed_tcb=tcb,
            launch_tcb=tcb,
            report_data=report_data,
            measurement=self.measurement,
            report_id=self.report_id,
            platform_info=hardware.PLATFORM_INFOS[self.product],
            current_version=hardware.FIRMWARE_VERSION,
            committed_version=hardware.FIRMWARE_VERSION,
            vmpl=vmpl,
            launch_mit_vector=hardware.MITIGATIONS[self.product],
            current_mit_vector=hardware.MITIGATIONS[self.product],
        )

    def save(self, directory: Path) -> None:
        """Write the machine, the key for its owner alone; each file is replaced in one step."""
        write_key(directory / state.KEY_FILE, self.processor.vcek_key)
        write_public(directory / state.CERTIFICATES_FILE, self.certificate_table())
        state.write_state(directory, self._state())

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Return the machine that was saved there.

        Raises:
            OSError: A file is missing or cannot be read.
            ValueError: ``machine.json`` or the key is not what ``save`` wrote.
            CertificateMalformed: The certificate table is not what ``save`` wrote.
        """
        stored = state.read_state(directory)
        processor = SimulatedProcessor(
            product=stored.product,
            chip_id=bytes.fromhex(stored.chip_id),
            tcb=stored.tcb,
            certificates=state.read_certificates(directory),
            vcek_key=state.read_vcek_key(directory),
        )
        return cls(
            processor=processor,
            measurement=bytes.fromhex(stored.measurement),
            policy=stored.policy,
            report_version=stored.report_version,
            boot_id=stored.boot_id,
            report_id=bytes.fromhex(stored.report_id),
        )

    def _state(self) -> state.MachineState:
        return state.MachineState(
            product=self.product,
            chip_id=self.chip_id.hex(),
            tcb=self.processor.tcb,
            measurement=self.measurement.hex(),
            policy=self.policy,
            report_version=self.report_version,
            boot_id=self.boot_id,
            report_id=self.report_id.hex(),
        )
