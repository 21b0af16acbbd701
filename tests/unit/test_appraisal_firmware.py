from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from cases.appraising import NOW, judge, passes
from fakes.claims import FIRMWARE, TCB, claims
from nodeproof.policy import (
    CPUModelName,
    FirmwareMinimum,
    FirmwareRules,
    Permission,
    TCBMinimum,
)
from nodeproof.sevsnp.products import CPUID, Product
from nodeproof.sevsnp.report import FirmwareVersion
from nodeproof.sevsnp.tcb import TCBVersion

TURIN = TCBVersion(fmc=1, bootloader=1, tee=1, snp=4, microcode=81)
OLD_REPORT = claims(
    version=2, cpuid=None, cpu_model=None, launch_mit_vector=None, current_mit_vector=None
)
TCBS = [
    ("ReportedTCB", "reported_tcb"),
    ("CommittedTCB", "committed_tcb"),
    ("LaunchTCB", "launch_tcb"),
]


def minimum(model: CPUModelName = CPUModelName.MILAN, **fields: Any) -> FirmwareMinimum:
    return FirmwareMinimum(cpu_model=model, **fields)


def rules(*minimums: FirmwareMinimum, **fields: Any) -> FirmwareRules:
    return FirmwareRules(minimums=minimums, **fields)


@pytest.mark.parametrize(("name", "field"), TCBS)
def test_every_tcb_has_a_minimum_of_its_own(name: str, field: str) -> None:
    low = claims(**{field: replace(TCB, snp=26)})
    fields: dict[str, Any] = {field: TCBMinimum(snp=27)}
    asked = rules(minimum(**fields))
    assert passes(name, claims(), firmware=asked)
    failing = [each for each, _ in TCBS if not passes(each, low, firmware=asked)]
    assert failing == [name]


@pytest.mark.parametrize("component", ["bootloader", "tee", "snp", "microcode"])
def test_every_component_counts_for_itself(component: str) -> None:
    lowest = {name: getattr(TCB, name) for name in ("bootloader", "tee", "snp", "microcode")}
    asked = rules(minimum(reported_tcb=TCBMinimum(**lowest)))
    too_much = rules(minimum(reported_tcb=TCBMinimum(**{component: lowest[component] + 1})))
    assert passes("ReportedTCB", firmware=asked)
    assert not passes("ReportedTCB", firmware=too_much)


def test_high_microcode_does_not_make_up_for_low_firmware() -> None:
    proved = claims(reported_tcb=TCBVersion(None, 4, 0, 5, 255))
    asked = rules(minimum(reported_tcb=TCBMinimum(snp=27, microcode=222)))
    result = judge("ReportedTCB", proved, firmware=asked)
    assert (result.outcome, result.expected) == ("Failed", "at least snp=27 microcode=222")
    assert result.observed == "bootloader=4 tee=0 snp=5 microcode=255; too low: snp"


def test_the_first_mutable_code_counts_on_turin() -> None:
    proved = claims(
        product=Product.TURIN, cpu_model="Turin", cpuid=CPUID(0x1A, 2, 1), reported_tcb=TURIN
    )
    for lowest, expected in ((1, True), (2, False)):
        asked = rules(minimum(CPUModelName.TURIN, reported_tcb=TCBMinimum(fmc=lowest)))
        assert passes("ReportedTCB", proved, firmware=asked) is expected


def test_a_component_that_the_processor_does_not_have_is_below_every_minimum() -> None:
    asked = rules(minimum(reported_tcb=TCBMinimum(fmc=1)))
    assert judge("ReportedTCB", firmware=asked).observed.endswith("too low: fmc")


def test_without_minimums_any_processor_passes() -> None:
    for name in ("CPUModel", "ReportedTCB", "FirmwareVersion", "LaunchMitigations"):
        assert passes(name)
        assert passes(name, OLD_REPORT)


def test_a_model_without_minimums_fails_where_others_have_some() -> None:
    asked = rules(minimum(CPUModelName.GENOA, version="1.55.49"))
    result = judge("CPUModel", firmware=asked)
    assert (result.outcome, result.observed) == ("Failed", "Milan stepping 1")
    assert result.expected == "one that firmware.minimums names"


def test_a_model_without_minimums_passes_if_the_policy_says_so() -> None:
    asked = rules(
        minimum(CPUModelName.GENOA, version="9.0.0"), unlisted_cpu_models=Permission.ALLOWED
    )
    assert passes("CPUModel", firmware=asked)
    assert passes("FirmwareVersion", firmware=asked)


@pytest.mark.parametrize("unlisted", Permission)
def test_a_report_that_does_not_tell_its_model_meets_no_minimum(unlisted: Permission) -> None:
    asked = rules(minimum(version="1.0.0"), unlisted_cpu_models=unlisted)
    result = judge("CPUModel", OLD_REPORT, firmware=asked)
    assert (result.outcome, result.observed) == ("Failed", "not told by a report of version 2")


def test_bergamo_is_not_held_against_genoas_microcode() -> None:
    bergamo = claims(
        product=Product.GENOA,
        cpu_model="Bergamo",
        cpuid=CPUID(0x19, 0xA0, 2),
        committed_tcb=TCBVersion(None, 10, 0, 27, 27),
    )
    asked = rules(
        minimum(CPUModelName.GENOA, committed_tcb=TCBMinimum(microcode=86)),
        minimum(CPUModelName.BERGAMO, committed_tcb=TCBMinimum(microcode=27)),
    )
    assert passes("CPUModel", bergamo, firmware=asked)
    assert passes("CommittedTCB", bergamo, firmware=asked)


def test_a_stepping_may_have_minimums_of_its_own() -> None:
    stacked = claims(cpuid=CPUID(0x19, 1, 2), committed_tcb=replace(TCB, microcode=0x47))
    plain = minimum(stepping=1, committed_tcb=TCBMinimum(microcode=0xDE))
    asked = rules(plain, minimum(stepping=2, committed_tcb=TCBMinimum(microcode=0x47)))
    assert passes("CommittedTCB", stacked, firmware=asked)
    assert not passes("CPUModel", stacked, firmware=rules(plain))


def test_of_several_minimums_the_highest_of_each_component_counts() -> None:
    asked = rules(
        minimum(committed_tcb=TCBMinimum(snp=27, microcode=1)),
        minimum(stepping=1, committed_tcb=TCBMinimum(snp=3, microcode=222)),
    )
    assert judge("CommittedTCB", firmware=asked).expected == "at least snp=27 microcode=222"


def test_a_minimum_is_asked_for_from_its_effective_time_on() -> None:
    asked = rules(minimum(version="1.58.0", effective_time=NOW))
    before = NOW - timedelta(seconds=1)
    assert judge("FirmwareVersion", now=before, firmware=asked).outcome == "Passed"
    assert judge("FirmwareVersion", now=NOW, firmware=asked).outcome == "Failed"


def test_a_minimum_to_come_names_its_model_already() -> None:
    announced = rules(minimum(version="1.58.0", effective_time=NOW + timedelta(days=1)))
    assert passes("CPUModel", firmware=announced)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ((1, 55, 64), False),
        ((1, 55, 65), True),
        ((1, 58, 0), True),
        ((2, 0, 0), True),
        ((0, 99, 99), False),
    ],
)
def test_firmware_versions_compare_major_minor_build(
    stated: tuple[int, int, int], *, expected: bool
) -> None:
    proved = claims(committed_version=FirmwareVersion(*stated))
    assert passes("FirmwareVersion", proved, firmware=rules(minimum(version="1.55.65"))) is expected


def test_firmware_that_runs_uncommitted_does_not_count() -> None:
    proved = claims(current_version=FirmwareVersion(1, 58, 0))
    result = judge("FirmwareVersion", proved, firmware=rules(minimum(version="1.58.0")))
    assert (result.outcome, result.expected) == ("Failed", "at least 1.58.0")
    assert result.observed == "1.55.35 committed"


@pytest.mark.parametrize(
    "ahead",
    [
        {"current_tcb": replace(TCB, microcode=223)},
        {"current_version": FirmwareVersion(1, 55, 36)},
    ],
    ids=list,
)
def test_provisional_firmware_fails_only_where_it_is_forbidden(ahead: dict[str, Any]) -> None:
    forbidden = rules(provisional=Permission.FORBIDDEN)
    assert passes("ProvisionalFirmware", claims(**ahead))
    assert passes("ProvisionalFirmware", claims(), firmware=forbidden)
    result = judge("ProvisionalFirmware", claims(**ahead), firmware=forbidden)
    assert result.outcome == "Failed"
    assert result.observed.startswith("running ")
    assert f"committed {FIRMWARE} ({TCB})" in result.observed


@pytest.mark.parametrize(
    ("name", "rule", "field"),
    [
        ("LaunchMitigations", "launch_mitigations", "launch_mit_vector"),
        ("CurrentMitigations", "current_mitigations", "current_mit_vector"),
    ],
)
def test_each_mitigation_vector_must_have_its_bits(name: str, rule: str, field: str) -> None:
    fields: dict[str, Any] = {rule: (0, 63)}
    asked = rules(minimum(**fields))
    good = claims(**{field: 1 << 63 | 0b11})
    result = judge(name, claims(**{field: 0b101}), firmware=asked)
    assert passes(name, good, firmware=asked)
    assert (result.outcome, result.expected) == ("Failed", "bits 0, 63 set")
    assert result.observed == "0x5, bit 63 clear"


def test_a_report_that_tells_no_mitigations_has_none() -> None:
    proved = claims(version=4, launch_mit_vector=None, current_mit_vector=None)
    asked = rules(minimum(launch_mitigations=(1,)))
    result = judge("LaunchMitigations", proved, firmware=asked)
    assert (result.outcome, result.observed) == ("Failed", "not told by a report of version 4")
    assert passes("CurrentMitigations", proved, firmware=asked)
