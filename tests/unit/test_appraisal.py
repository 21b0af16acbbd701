from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof.appraisal import Appraisal, CheckResult, Claims, appraise
from nodeproof.checks import CATALOGUE
from nodeproof.policy import (
    Covers,
    GuestRules,
    Measurement,
    Policy,
    PolicySpec,
    ReferenceValueSet,
    Requirement,
    SignerKind,
    SignerRules,
)
from nodeproof.result import MAX_FACT_LENGTH, Outcome

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD = "0123456789abcdef" * 6
OTHER = "fedcba9876543210" * 6


@dataclass(frozen=True)
class Bits:
    debug: bool = False
    migrate_ma: bool = False
    smt: bool = True
    single_socket: bool = False


@dataclass(frozen=True)
class ReportOfOurs:
    policy: Bits = field(default_factory=Bits)
    vmpl: int = 0
    measurement: bytes = bytes.fromhex(GOOD)


@dataclass(frozen=True)
class ClaimsOfOurs:
    signer: SignerKind = SignerKind.VCEK
    report: ReportOfOurs = field(default_factory=ReportOfOurs)


CLAIMS = ClaimsOfOurs()


def policy(
    *, guest: GuestRules | None = None, signer: SignerRules | None = None, sets: int = 1
) -> Policy:
    spec = PolicySpec(
        reference_value_set_names=tuple(f"set-{number}" for number in range(sets)),
        guest=guest or GuestRules(),
        signer=signer or SignerRules(),
    )
    return Policy(name="confidential", uid="uid", generation=1, spec=spec)


def values(*measurements: str, name: str = "set-0") -> ReferenceValueSet:
    listed = tuple(
        Measurement(name=f"value-{number}", measurement=each, covers=Covers.KERNEL)
        for number, each in enumerate(measurements)
    )
    return ReferenceValueSet(name=name, generation=1, measurements=listed)


def check(appraisal: Appraisal, name: str) -> CheckResult:
    return next(each for each in appraisal.checks if each.id == name)


def with_bits(**bits: bool) -> ClaimsOfOurs:
    return replace(CLAIMS, report=replace(CLAIMS.report, policy=Bits(**bits)))


def test_good_evidence_passes_every_check() -> None:
    appraisal = appraise(CLAIMS, policy(), [values(GOOD)], NOW)
    assert appraisal.passed
    assert appraisal.failed == ()


def test_reports_every_check_of_the_catalogue_in_its_order() -> None:
    appraisal = appraise(CLAIMS, policy(), [], NOW)
    assert [each.id for each in appraisal.checks] == list(CATALOGUE)


def test_is_named_after_its_policy() -> None:
    assert appraise(CLAIMS, policy(), [], NOW).policy_name == "confidential"


def test_does_not_stop_at_the_first_failure() -> None:
    claims = ClaimsOfOurs(
        signer=SignerKind.SIMULATED, report=ReportOfOurs(policy=Bits(debug=True), vmpl=1)
    )
    failed = appraise(claims, policy(), [values(OTHER)], NOW).failed
    assert [each.id for each in failed] == ["SignerKind", "GuestDebug", "VMPL", "Measurement"]


def test_an_appraisal_without_checks_has_not_passed() -> None:
    assert not Appraisal(policy_name="empty", checks=()).passed


def test_anything_but_passed_counts_as_failed() -> None:
    unknown = CheckResult(id="SMT", outcome=Outcome.UNKNOWN, expected="", observed="")
    assert Appraisal(policy_name="odd", checks=(unknown,)).failed == (unknown,)


def test_simulated_evidence_needs_a_policy_that_allows_it() -> None:
    claims = replace(CLAIMS, signer=SignerKind.SIMULATED)
    both = SignerRules(kinds=(SignerKind.VCEK, SignerKind.SIMULATED))
    assert not appraise(claims, policy(), [values(GOOD)], NOW).passed
    assert appraise(claims, policy(signer=both), [values(GOOD)], NOW).passed


def test_the_signer_check_names_both_sides() -> None:
    rules = SignerRules(kinds=(SignerKind.VCEK, SignerKind.VLEK))
    claims = replace(CLAIMS, signer=SignerKind.SIMULATED)
    result = check(appraise(claims, policy(signer=rules), [], NOW), "SignerKind")
    assert (result.expected, result.observed) == ("VCEK or VLEK", "Simulated")


@pytest.mark.parametrize(
    ("name", "rule", "bit"),
    [
        ("GuestDebug", "debug", "debug"),
        ("MigrationAgent", "migration_agent", "migrate_ma"),
        ("SMT", "smt", "smt"),
        ("SingleSocket", "single_socket", "single_socket"),
    ],
)
@pytest.mark.parametrize(
    ("requirement", "passes_clear", "passes_set"),
    [
        (Requirement.REQUIRED, False, True),
        (Requirement.FORBIDDEN, True, False),
        (Requirement.ANY, True, True),
    ],
)
def test_a_bit_of_the_guest_policy_is_held_against_its_rule(
    name: str,
    rule: str,
    bit: str,
    requirement: Requirement,
    *,
    passes_clear: bool,
    passes_set: bool,
) -> None:
    demanding = policy(guest=msgspec.structs.replace(GuestRules(), **{rule: requirement}))
    outcomes = [
        check(appraise(with_bits(**{bit: state}), demanding, [], NOW), name).outcome
        for state in (False, True)
    ]
    expected = [Outcome.PASSED if each else Outcome.FAILED for each in (passes_clear, passes_set)]
    assert outcomes == expected


def test_a_debuggable_guest_is_told_in_words() -> None:
    result = check(appraise(with_bits(debug=True), policy(), [], NOW), "GuestDebug")
    assert (result.expected, result.observed) == ("debugging forbidden", "debugging allowed")


@pytest.mark.parametrize(("asked", "stated"), [(0, 1), (0, 3), (2, 0)])
def test_the_privilege_level_must_be_the_policys(asked: int, stated: int) -> None:
    claims = replace(CLAIMS, report=replace(CLAIMS.report, vmpl=stated))
    result = check(appraise(claims, policy(guest=GuestRules(vmpl=asked)), [], NOW), "VMPL")
    assert result.outcome is Outcome.FAILED
    assert (result.expected, result.observed) == (f"VMPL {asked}", f"VMPL {stated}")


def test_the_policys_privilege_level_passes() -> None:
    claims = replace(CLAIMS, report=replace(CLAIMS.report, vmpl=2))
    result = check(appraise(claims, policy(guest=GuestRules(vmpl=2)), [], NOW), "VMPL")
    assert result.outcome is Outcome.PASSED


def test_any_value_of_any_named_set_will_do() -> None:
    sets = [values(OTHER), values("ff" * 48, GOOD, name="set-1")]
    assert appraise(CLAIMS, policy(sets=2), sets, NOW).passed


def test_a_set_that_the_policy_does_not_name_is_not_looked_at() -> None:
    assert not appraise(CLAIMS, policy(), [values(GOOD, name="elsewhere")], NOW).passed


def test_a_value_past_its_expiration_does_not_count() -> None:
    expiring = Measurement(name="old", measurement=GOOD, covers=Covers.KERNEL, expiration_time=NOW)
    sets = [ReferenceValueSet(name="set-0", generation=1, measurements=(expiring,))]
    assert appraise(CLAIMS, policy(), sets, NOW - timedelta(seconds=1)).passed
    assert not appraise(CLAIMS, policy(), sets, NOW).passed


def test_a_prefix_of_the_measurement_is_not_the_measurement() -> None:
    assert not appraise(CLAIMS, policy(), [values(GOOD[:-1]), values("")], NOW).passed


def test_a_wrong_measurement_is_shown_whole() -> None:
    result = check(appraise(CLAIMS, policy(), [values(OTHER)], NOW), "Measurement")
    assert result.expected == "the only value of set-0: fedcba9876543210…"
    assert result.observed == GOOD


def test_many_values_are_counted() -> None:
    many = values(*(f"{number:096x}" for number in range(5)))
    result = check(appraise(CLAIMS, policy(), [many], NOW), "Measurement")
    assert result.expected == (
        "one of the 5 values of set-0: "
        "0000000000000000…, 0000000000000000…, 0000000000000000… and 2 more"
    )


def test_nothing_in_force_is_told() -> None:
    result = check(appraise(CLAIMS, policy(sets=2), [], NOW), "Measurement")
    assert result.expected == "a value of set-0, set-1, where none is in force"


def test_texts_fit_the_object_however_long_the_names() -> None:
    names = tuple(f"{number}".ljust(253, "x") for number in range(16))
    spec = PolicySpec(reference_value_set_names=names)
    long = Policy(name="long", uid="uid", generation=1, spec=spec)
    many = values(*(f"{number:096x}" for number in range(256)), name=names[0])
    result = check(appraise(CLAIMS, long, [many], NOW), "Measurement")
    assert len(result.expected) <= MAX_FACT_LENGTH


@given(
    bits=st.builds(Bits, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    vmpl=st.integers(0, 3),
    measurement=st.binary(min_size=48, max_size=48),
    signer=st.sampled_from(SignerKind),
)
def test_passes_only_if_nothing_failed(
    bits: Bits, vmpl: int, measurement: bytes, signer: SignerKind
) -> None:
    claims: Claims = ClaimsOfOurs(signer, ReportOfOurs(bits, vmpl, measurement))
    appraisal = appraise(claims, policy(), [values(GOOD)], NOW)
    assert appraisal.passed == all(each.outcome is Outcome.PASSED for each in appraisal.checks)
    assert len(appraisal.checks) == len(CATALOGUE)
