from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cases.appraising import NOW, check, policy
from fakes.claims import claims
from fakes.simulated import machine
from fakes.simulated import report as signed_report
from nodeproof.appraisal import Appraisal, CheckResult, appraise, next_change
from nodeproof.checks import CATALOGUE
from nodeproof.policy import (
    Covers,
    CPUModelName,
    FirmwareMinimum,
    FirmwareRules,
    Measurement,
    Policy,
    PolicySpec,
    ReferenceValueSet,
    SignerKind,
    SignerRules,
)
from nodeproof.result import MAX_FACT_LENGTH, Outcome
from nodeproof.sevsnp.bits import GuestPolicy, PlatformInfo
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.report import parse_report
from nodeproof.sevsnp.simulator.processor import REPORT_VERSIONS

GOOD = "0123456789abcdef" * 6
OTHER = "fedcba9876543210" * 6
LATER = NOW + timedelta(days=30)


def values(*measurements: str, name: str = "set-0", **fields: Any) -> ReferenceValueSet:
    listed = tuple(
        Measurement(name=f"value-{number}", measurement=each, covers=Covers.KERNEL, **fields)
        for number, each in enumerate(measurements)
    )
    return ReferenceValueSet(name=name, generation=1, measurements=listed)


def test_good_evidence_passes_every_check() -> None:
    appraisal = appraise(claims(), policy(), [values(GOOD)], NOW)
    assert appraisal.passed
    assert appraisal.failed == ()


@pytest.mark.parametrize("version", REPORT_VERSIONS)
@pytest.mark.parametrize("product", Product)
def test_the_simulated_platform_passes_a_policy_that_accepts_it(
    product: Product, version: int
) -> None:
    simulated = machine(product, report_version=version)
    report = parse_report(signed_report(simulated))
    proved = replace(claims(product=product, signer=SignerKind.SIMULATED), report=report)
    accepting = policy(signer=SignerRules(kinds=(SignerKind.SIMULATED,)))
    assert appraise(proved, accepting, [values(report.measurement.hex())], NOW).failed == ()


def test_reports_every_check_of_the_catalogue_in_its_order() -> None:
    appraisal = appraise(claims(), policy(), [], NOW)
    assert [each.id for each in appraisal.checks] == list(CATALOGUE)


def test_is_named_after_its_policy() -> None:
    assert appraise(claims(), policy(), [], NOW).policy_name == "confidential"


def test_does_not_stop_at_the_first_failure() -> None:
    bad = claims(signer=SignerKind.SIMULATED, policy=GuestPolicy(0xB0000), vmpl=1)
    failed = appraise(bad, policy(), [values(OTHER)], NOW).failed
    assert [each.id for each in failed] == ["SignerKind", "GuestDebug", "VMPL", "Measurement"]


def test_an_appraisal_without_checks_has_not_passed() -> None:
    assert not Appraisal(policy_name="empty", checks=()).passed


def test_anything_but_passed_counts_as_failed() -> None:
    unknown = CheckResult(id="SMT", outcome=Outcome.UNKNOWN, expected="", observed="")
    assert Appraisal(policy_name="odd", checks=(unknown,)).failed == (unknown,)


def test_any_value_of_any_named_set_will_do() -> None:
    sets = [values(OTHER), values("ff" * 48, GOOD, name="set-1")]
    assert appraise(claims(), policy(sets=2), sets, NOW).passed


def test_a_set_that_the_policy_does_not_name_is_not_looked_at() -> None:
    assert not appraise(claims(), policy(), [values(GOOD, name="elsewhere")], NOW).passed


def test_a_value_past_its_expiration_does_not_count() -> None:
    sets = [values(GOOD, expiration_time=NOW)]
    assert appraise(claims(), policy(), sets, NOW - timedelta(seconds=1)).passed
    assert not appraise(claims(), policy(), sets, NOW).passed


@pytest.mark.parametrize("product", Product)
def test_a_value_for_one_product_counts_on_no_other(product: Product) -> None:
    appraisal = appraise(claims(), policy(), [values(GOOD, product=product)], NOW)
    assert appraisal.passed == (product is Product.MILAN)


def test_a_prefix_of_the_measurement_is_not_the_measurement() -> None:
    assert not appraise(claims(), policy(), [values(GOOD[:-1]), values("")], NOW).passed


def test_a_wrong_measurement_is_shown_whole() -> None:
    result = check(appraise(claims(), policy(), [values(OTHER)], NOW), "Measurement")
    assert result.expected == "the only value of set-0: fedcba9876543210…"
    assert result.observed == GOOD


def test_many_values_are_counted() -> None:
    many = values(*(f"{number:096x}" for number in range(5)))
    result = check(appraise(claims(), policy(), [many], NOW), "Measurement")
    assert result.expected == (
        "one of the 5 values of set-0: "
        "0000000000000000…, 0000000000000000…, 0000000000000000… and 2 more"
    )


def test_nothing_in_force_is_told() -> None:
    result = check(appraise(claims(), policy(sets=2), [], NOW), "Measurement")
    assert result.expected == "a value of set-0, set-1, where none is in force"


def test_texts_fit_the_object_however_long_the_names() -> None:
    names = tuple(f"{number}".ljust(253, "x") for number in range(16))
    spec = PolicySpec(reference_value_set_names=names)
    long = Policy(name="long", uid="uid", generation=1, spec=spec)
    many = values(*(f"{number:096x}" for number in range(256)), name=names[0])
    result = check(appraise(claims(), long, [many], NOW), "Measurement")
    assert len(result.expected) <= MAX_FACT_LENGTH


def test_a_policy_without_times_never_judges_otherwise() -> None:
    assert next_change(policy(), [values(GOOD)], NOW) is None


def test_judges_otherwise_when_the_next_value_ends() -> None:
    sets = [
        values(GOOD, expiration_time=LATER),
        values(OTHER, expiration_time=NOW),
        values(OTHER, name="elsewhere", expiration_time=NOW + timedelta(seconds=1)),
    ]
    assert next_change(policy(), sets, NOW) == LATER


def test_judges_otherwise_when_the_next_minimum_takes_effect() -> None:
    minimums = tuple(
        FirmwareMinimum(cpu_model=CPUModelName.MILAN, effective_time=time)
        for time in (None, NOW, LATER, LATER + timedelta(days=1))
    )
    scheduled = policy(firmware=FirmwareRules(minimums=minimums))
    assert next_change(scheduled, [values(GOOD)], NOW) == LATER


@given(
    bits=st.integers(0, 2**26 - 1),
    platform=st.integers(0, 0xFF),
    vmpl=st.integers(0, 3),
    measurement=st.binary(min_size=48, max_size=48),
    signer=st.sampled_from(SignerKind),
)
def test_passes_only_if_nothing_failed(
    bits: int, platform: int, vmpl: int, measurement: bytes, signer: SignerKind
) -> None:
    proved = claims(
        signer=signer,
        policy=GuestPolicy(bits),
        platform_info=PlatformInfo(platform),
        vmpl=vmpl,
        measurement=measurement,
    )
    appraisal = appraise(proved, policy(), [values(GOOD)], NOW)
    assert appraisal.passed == all(each.outcome is Outcome.PASSED for each in appraisal.checks)
    assert len(appraisal.checks) == len(CATALOGUE)
