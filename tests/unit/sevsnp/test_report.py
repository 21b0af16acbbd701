from __future__ import annotations

from typing import Any

import pytest

from fakes import simulated
from nodeproof.errors import ReportMalformed, ReportVersionUnsupported
from nodeproof.sevsnp.products import CPUID
from nodeproof.sevsnp.report import P384_ORDER, parse_report
from nodeproof.sevsnp.simulator import SimulatedMachine


def with_bytes(report: bytes, offset: int, value: bytes) -> bytes:
    return report[:offset] + value + report[offset + len(value) :]


def test_keeps_the_bytes_as_they_came(machine: SimulatedMachine) -> None:
    data = machine.attest(bytes(64))
    report = parse_report(data)
    assert report.raw == data
    assert report.signed == data[:672]


def test_reads_what_the_firmware_wrote(machine: SimulatedMachine) -> None:
    report_data = bytes(range(64))
    report = parse_report(machine.attest(report_data, vmpl=2))
    assert report.report_data == report_data
    assert report.measurement == machine.measurement
    assert report.report_id == machine.report_id
    assert report.chip_id == machine.chip_id
    assert report.vmpl == 2
    assert report.cpuid == CPUID(0x19, 0x01, 0x01)
    assert report.current_version == (1, 55, 65)


def test_version_2_names_no_processor(machine: SimulatedMachine) -> None:
    assert parse_report(simulated.report(machine, version=2)).cpuid is None


@pytest.mark.parametrize("version", [2, 3, 4])
def test_mitigation_vectors_begin_with_version_5(machine: SimulatedMachine, version: int) -> None:
    report = parse_report(simulated.report(machine, version=version))
    assert report.launch_mit_vector is report.current_mit_vector is None
    assert parse_report(machine.attest(bytes(64))).current_mit_vector == 0x0B


@pytest.mark.parametrize("size", [0, 1, 1183, 1185, 4000])
def test_refuses_any_other_size(machine: SimulatedMachine, size: int) -> None:
    data = (machine.attest(bytes(64)) * 4)[:size]
    with pytest.raises(ReportMalformed, match=f"expected 1184 bytes, observed {size} bytes"):
        parse_report(data)


@pytest.mark.parametrize("version", [0, 1, 6, 2**32 - 1])
def test_refuses_versions_that_it_does_not_know(machine: SimulatedMachine, version: int) -> None:
    data = with_bytes(machine.attest(bytes(64)), 0, version.to_bytes(4, "little"))
    with pytest.raises(ReportVersionUnsupported, match=f"observed {version}"):
        parse_report(data)


def test_recognises_version_6_and_says_why_it_is_refused(machine: SimulatedMachine) -> None:
    data = with_bytes(machine.attest(bytes(64)), 0, b"\x06")
    with pytest.raises(ReportVersionUnsupported, match="extended TCB versions"):
        parse_report(data)


@pytest.mark.parametrize(
    ("version", "offset"),
    [
        *((5, offset) for offset in (0x04C, 0x18B, 0x19F, 0x1EB, 0x1EF, 0x208, 0x29F)),
        *((5, offset) for offset in (0x2D0, 0x2E7, 0x318, 0x32F, 0x330, 0x49F)),
        *((2, offset) for offset in (0x188, 0x189, 0x18A, 0x1F8, 0x207)),
        *((3, offset) for offset in (0x1F8, 0x207)),
        (4, 0x208),
    ],
)
def test_refuses_reserved_bytes(machine: SimulatedMachine, version: int, offset: int) -> None:
    data = simulated.report(machine, version=version)
    with pytest.raises(ReportMalformed, match=f"at {offset:#05x}"):
        parse_report(with_bytes(data, offset, b"\x01"))


def test_tolerates_mitigation_vectors_in_version_4(machine: SimulatedMachine) -> None:
    data = with_bytes(simulated.report(machine, version=4), 0x1F8, b"\xff" * 16)
    assert parse_report(data).version == 4


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"policy": 0x10000}, "POLICY"),
        ({"policy": 0x30000 | 1 << 26}, "POLICY"),
        ({"policy": 0x30000 | 1 << 63}, "POLICY"),
        ({"platform_info": 1 << 8}, "PLATFORM_INFO"),
        ({"platform_info": 1 << 63}, "PLATFORM_INFO"),
        ({"key_info": 1 << 5}, "KEY_INFO"),
        ({"key_info": 2 << 2}, "KEY_INFO"),
        ({"key_info": 7 << 2}, "KEY_INFO"),
        ({"vmpl": 4}, "VMPL"),
        ({"vmpl": 0xFFFFFFFF}, "VMPL"),
        ({"signature_algo": 0}, "SIGNATURE_ALGO"),
        ({"signature_algo": 2}, "SIGNATURE_ALGO"),
    ],
)
def test_refuses_values_out_of_range(
    machine: SimulatedMachine, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(ReportMalformed, match=text):
        parse_report(simulated.report(machine, **changes))


@pytest.mark.parametrize("offset", [0x2A0, 0x2E8])
@pytest.mark.parametrize("scalar", [0, P384_ORDER, 2**384 - 1])
def test_refuses_a_signature_out_of_range(
    machine: SimulatedMachine, offset: int, scalar: int
) -> None:
    data = with_bytes(machine.attest(bytes(64)), offset, scalar.to_bytes(72, "little"))
    with pytest.raises(ReportMalformed, match="out of range"):
        parse_report(data)
