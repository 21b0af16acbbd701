"""Reports that their VEK did sign although they state what no firmware, or another one, states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import msgspec

from cases.evidence import Evidence, of_machine, overwritten, vlek_evidence
from cases.mutated_reports import BOUNDARIES
from fakes import simulated
from nodeproof.sevsnp.layout import SIGNED_SIZE
from nodeproof.sevsnp.products import CPUID, Product
from nodeproof.sevsnp.simulator import SimulatedMachine, SimulatedProcessor
from nodeproof.sevsnp.simulator.encoding import encode_tcb, sign_report
from nodeproof.sevsnp.tcb import TCBVersion

_TCBS = ("current_tcb", "reported_tcb", "committed_tcb", "launch_tcb")
_RESERVED = (
    *((0x04C, 0x050), (0x188, 0x18B), (0x18B, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0)),
    *((0x1F8, 0x208), (0x208, 0x2A0)),
)
_POLICY = 0x30000


def resigned(random: Random) -> Iterator[Evidence]:
    """Yield about 1,700 reports of simulated machines, each signed after it was changed."""
    for product in (Product.MILAN, Product.GENOA):
        for version in (3, 5):
            machine = simulated.machine(product, report_version=version)
            yield from _bits_and_values(machine)
            yield from _processors(machine)
            yield from _tcb_bytes(machine)
            yield from _reserved_bytes(machine, random)
    yield from _versions()
    yield from _chips()
    yield from _vlek_reports()
    yield from _firmware()
    yield from _extreme_firmware()


def _states(machine: SimulatedMachine, what: str, **changes: Any) -> Evidence:
    name = f"simulated {machine.product} v{machine.report_version} states {what}"
    return of_machine(machine, name, **changes)


def _bits_and_values(machine: SimulatedMachine) -> Iterator[Evidence]:
    for bit in range(64):
        yield _states(machine, f"POLICY bit {bit}", policy=_POLICY ^ 1 << bit)
        yield _states(machine, f"PLATFORM_INFO bit {bit}", platform_info=1 << bit)
    for key_info in (*range(64), 1 << 31):
        yield _states(machine, f"KEY_INFO {key_info:#x}", key_info=key_info)
    for vmpl in (1, 2, 3, 4, 255, 0xFFFFFFFF):
        yield _states(machine, f"VMPL {vmpl}", vmpl=vmpl)
    for algorithm in (0, 2, 0xFFFFFFFF):
        yield _states(machine, f"SIGNATURE_ALGO {algorithm}", signature_algo=algorithm)
    yield _states(machine, "GUEST_SVN 1", guest_svn=1)


def _processors(machine: SimulatedMachine) -> Iterator[Evidence]:
    for family in (0x00, 0x0F, 0x19, 0x1A):
        for model in (0x00, 0x01, 0x02, 0x0F, 0x10, 0x11, 0x12, 0x50, 0xA0, 0xB0):
            for stepping in (0, 2, 15, 0xF1):
                cpuid = CPUID(family, model, stepping)
                yield _states(machine, str(cpuid), cpuid=cpuid)


def _tcb_bytes(machine: SimulatedMachine) -> Iterator[Evidence]:
    tcb = encode_tcb(machine.processor.tcb, machine.product)
    for name in _TCBS:
        for position in range(len(tcb)):
            for value in (0, tcb[position] + 1, 127, 128, 255):
                changed = overwritten(tcb, position, bytes((value,)))
                yield _states(machine, f"{name.upper()} {changed.hex()}", **{name: changed})


def _reserved_bytes(machine: SimulatedMachine, random: Random) -> Iterator[Evidence]:
    """Yield what firmware would sign that fills reserved bytes, and fields with anything."""
    evidence = _states(machine, "something else")
    body, key = evidence.report[:SIGNED_SIZE], machine.processor.vcek_key
    for start, end in (*_RESERVED, *pairwise(BOUNDARIES[:-5])):
        for offset in {start, end - 1, random.randrange(start, end)}:
            changed = overwritten(body, offset, bytes((random.randrange(1, 256),)))
            what = f"byte {offset:#05x} {changed[offset]:#04x}, signed"
            yield evidence.but(what, report=sign_report(changed, key))


def _versions() -> Iterator[Evidence]:
    for product in Product:
        for version in (0, 1, 2, 3, 4, 5, 6, 7):
            machine = simulated.machine(product)
            evidence = _states(machine, f"VERSION {version}", version=version)
            yield evidence
            for expected in Product:
                yield evidence.but(f"expected of {expected}", product=expected.value)
            body = overwritten(evidence.report[:SIGNED_SIZE], 0x1F8, b"\x01")
            report = sign_report(body, machine.processor.vcek_key)
            yield evidence.but("LAUNCH_MIT_VECTOR 1", report=report)


def _chips() -> Iterator[Evidence]:
    for product in Product:
        machine = simulated.machine(product)
        chip = machine.chip_id
        yield _states(machine, "no chip", chip_id=bytes(64))
        yield _states(machine, "a chip of eight bytes", chip_id=chip[:8].ljust(64, b"\0"))
        for position in (0, 7, 8, 63):
            other = overwritten(chip, position, bytes((chip[position] ^ 1,)))
            yield _states(machine, f"another byte {position} of CHIP_ID", chip_id=other)
        other_chip = simulated.machine(product, seed=1)
        evidence = _states(machine, "itself, endorsed as another chip")
        yield replace(evidence, certificates=other_chip.processor.certificates)


def _vlek_reports() -> Iterator[Evidence]:
    machine = simulated.machine(Product.MILAN)
    changes: dict[str, dict[str, Any]] = {
        "a chip under a VLEK": {"chip_id": machine.chip_id},
        "a VCEK under a VLEK": {"key_info": 0, "chip_id": machine.chip_id},
        "a VCEK and no chip under a VLEK": {"key_info": 0},
        "MASK_CHIP_KEY under a VLEK": {"key_info": 0b110},
        "version 2 under a VLEK": {"version": 2},
        "no signer under a VLEK": {"key_info": 7 << 2},
    }
    for what, changed in changes.items():
        yield vlek_evidence(f"simulated Milan states {what}", **changed)
    yield _states(machine, "a VLEK under a VCEK", key_info=1 << 2)


def _firmware() -> Iterator[Evidence]:
    machine = simulated.machine(Product.MILAN)
    for current in (
        (1, 55, 65),
        (1, 55, 64),
        (1, 54, 66),
        (0, 55, 65),
        (1, 56, 0),
        (255, 255, 255),
    ):
        for committed in ((1, 55, 65), (1, 55, 66), (0, 0, 0)):
            what = f"firmware {current}, committed {committed}"
            yield _states(machine, what, current_version=current, committed_version=committed)


def _extreme_firmware() -> Iterator[Evidence]:
    """Yield reports of firmware with the least and largest versions, under VCEKs for both."""
    authority = simulated.authority(Product.MILAN)
    oldest = TCBVersion(fmc=None, bootloader=0, tee=0, snp=0, microcode=0)
    versions = [msgspec.structs.replace(oldest, snp=snp) for snp in (0, 1, 127, 128, 255)]
    for endorsed in versions:
        processor = SimulatedProcessor.create(authority, now=simulated.NOW, tcb=endorsed)
        machine = SimulatedMachine.launch(processor)
        for stated in versions:
            raw = encode_tcb(stated, Product.MILAN)
            what = f"SNP {stated.snp} with a VCEK for {endorsed.snp}"
            yield _states(machine, what, reported_tcb=raw, current_tcb=raw, committed_tcb=bytes(8))
