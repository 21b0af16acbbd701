from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof.errors import PolicyInvalid
from nodeproof.policy import (
    Covers,
    CPUModelName,
    FirmwareMinimum,
    LabelSelector,
    Measurement,
    Mode,
    Permission,
    Requirement,
    RevocationMode,
    RevocationRules,
    SelectorOperator,
    SelectorTerm,
    SignerKind,
    TaintEffect,
    TCBMinimum,
    decode_policy,
    decode_reference_values,
)
from nodeproof.sevsnp.products import _MODELS, Product
from nodeproof.sevsnp.tcb import TCBVersion

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
METADATA = {"name": "confidential", "uid": "policy-uid", "generation": 3}
MEASUREMENT = {"name": "image", "measurement": "0a" * 48, "covers": "Kernel"}


def policy_body(**spec: Any) -> dict[str, Any]:
    return {"metadata": METADATA, "spec": {"referenceValueSetNames": ["images"], **spec}}


def values_body(**fields: Any) -> dict[str, Any]:
    return {"metadata": METADATA, "spec": {"measurements": [MEASUREMENT | fields]}}


def term(operator: SelectorOperator, *values: str) -> SelectorTerm:
    return SelectorTerm(key="zone", operator=operator, values=values)


def test_a_policy_is_known_by_name_uid_and_generation() -> None:
    policy = decode_policy(policy_body())
    assert (policy.name, policy.uid, policy.generation) == ("confidential", "policy-uid", 3)


def test_defaults_are_the_careful_ones() -> None:
    spec = decode_policy(policy_body()).spec
    assert spec.signer.kinds == (SignerKind.VCEK,)
    assert spec.guest.debug is spec.guest.migration_agent is Requirement.FORBIDDEN
    assert spec.guest.vmpl == 0
    assert spec.firmware.platform_info.alias_check is Requirement.REQUIRED
    assert spec.firmware.unlisted_cpu_models is Permission.FORBIDDEN
    assert 2 not in spec.signer.report_versions
    assert spec.enforcement.failure_effect is TaintEffect.NO_EXECUTE


def test_every_group_is_read() -> None:
    spec = decode_policy(
        policy_body(
            mode="Audit",
            nodeSelector={"matchLabels": {"a": "b"}},
            signer={"kinds": ["VLEK", "Simulated"], "cspIDs": ["CN=x"], "products": ["Turin"]},
            guest={"smt": "Forbidden", "aes256XTS": "Required", "minimumABI": "1.55", "vmpl": 2},
            firmware={"provisional": "Forbidden", "platformInfo": {"tio": "Forbidden"}},
            chips={"allow": [], "deny": ["0a" * 64]},
            revocation={"mode": "Required", "maximumAgeSeconds": 86400},
            freshness={"intervalSeconds": 10, "maximumAgeSeconds": 30},
            enforcement={"failureEffect": "NoSchedule", "unknownGraceSeconds": 0},
        )
    ).spec
    assert spec.mode is Mode.AUDIT
    assert spec.node_selector.match_labels == {"a": "b"}
    assert spec.signer.kinds == (SignerKind.VLEK, SignerKind.SIMULATED)
    assert (spec.signer.csp_ids, spec.signer.products) == (("CN=x",), (Product.TURIN,))
    assert (spec.guest.smt, spec.guest.vmpl) == (Requirement.FORBIDDEN, 2)
    assert (spec.guest.aes_256_xts, spec.guest.minimum_abi) == (Requirement.REQUIRED, "1.55")
    assert spec.firmware.provisional is Permission.FORBIDDEN
    assert spec.firmware.platform_info.tio is Requirement.FORBIDDEN
    assert spec.chips.deny == ("0a" * 64,)
    assert spec.revocation == RevocationRules(RevocationMode.REQUIRED, 86400)
    assert (spec.freshness.interval_seconds, spec.freshness.maximum_age_seconds) == (10, 30)
    assert spec.enforcement.failure_effect is TaintEffect.NO_SCHEDULE


@pytest.mark.parametrize(("mode", "enforced"), [("Enforce", True), ("Audit", False)])
def test_only_mode_enforce_touches_nodes(mode: str, *, enforced: bool) -> None:
    assert decode_policy(policy_body(mode=mode)).enforced is enforced


@pytest.mark.parametrize(
    "spec",
    [
        {"referenceValueSetNames": None},
        {"mode": "Off"},
        {"signer": {"kinds": ["TPM"]}},
        {"guest": {"debug": True}},
        {"guest": {"vmpl": "0"}},
        {"freshness": {"intervalSeconds": 1.5}},
        {"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}},
        {"signer": {"products": ["Venice"]}},
        {"guest": {"minimumABI": "1"}},
        {"guest": {"minimumABI": "1.x"}},
        {"firmware": {"minimums": [{"version": "1.55.35"}]}},
        {"firmware": {"minimums": [{"cpuModel": "Rome"}]}},
        {"firmware": {"minimums": [{"cpuModel": "Milan", "version": "1.55"}]}},
        {"firmware": {"minimums": [{"cpuModel": "Milan", "effectiveTime": "2027-01-01T00:00:00"}]}},
        {"firmware": {"minimums": [{"cpuModel": "Milan", "reportedTCB": {"snp": 256}}]}},
        {"firmware": {"minimums": [{"cpuModel": "Milan", "launchMitigations": [64]}]}},
    ],
    ids=str,
)
def test_refuses_what_it_cannot_read(spec: dict[str, Any]) -> None:
    with pytest.raises(PolicyInvalid):
        decode_policy(policy_body(**spec))


def test_an_unreadable_policy_says_where() -> None:
    with pytest.raises(PolicyInvalid, match=r"\$\.guest\.debug"):
        decode_policy(policy_body(guest={"debug": "No"}))


def test_a_policy_without_spec_is_invalid() -> None:
    with pytest.raises(PolicyInvalid):
        decode_policy({"metadata": METADATA})


def test_fields_of_a_newer_release_are_ignored() -> None:
    assert decode_policy(policy_body(weather={"fair": []})).name == "confidential"


def test_reads_a_row_of_a_bulletin() -> None:
    row = {
        "cpuModel": "Turin Dense",
        "stepping": 0,
        "effectiveTime": "2027-01-01T00:00:00Z",
        "reportedTCB": {"fmc": 1, "snp": 4, "microcode": 78},
        "version": "1.55.65",
        "launchMitigations": [0, 1],
    }
    (minimum,) = decode_policy(policy_body(firmware={"minimums": [row]})).spec.firmware.minimums
    assert (minimum.cpu_model, minimum.stepping) == (CPUModelName.TURIN_DENSE, 0)
    assert minimum.reported_tcb == TCBMinimum(fmc=1, snp=4, microcode=78)
    assert minimum.committed_tcb is None
    assert minimum.version_numbers() == (1, 55, 65)
    assert minimum.launch_mitigations == (0, 1)


def test_a_minimum_of_zero_asks_for_nothing() -> None:
    assert TCBMinimum(tee=0, snp=4).components() == {"snp": 4}


@pytest.mark.parametrize(("seconds", "in_force"), [(-1, False), (0, True), (1, True)])
def test_a_minimum_is_in_force_from_its_effective_time(seconds: int, *, in_force: bool) -> None:
    minimum = FirmwareMinimum(cpu_model=CPUModelName.MILAN, effective_time=NOW)
    assert minimum.in_force(NOW + timedelta(seconds=seconds)) is in_force


def test_the_cpu_models_are_those_that_verification_names() -> None:
    assert {model.name for _, _, model in _MODELS} == {each.value for each in CPUModelName}


def test_a_component_of_a_minimum_is_a_component_of_a_tcb_version() -> None:
    assert TCBMinimum.__struct_fields__ == TCBVersion.__struct_fields__


def test_reads_reference_values() -> None:
    values = decode_reference_values(values_body())
    assert values.measurements == (
        Measurement(name="image", measurement="0a" * 48, covers=Covers.KERNEL),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"covers": "Everything"},
        {"covers": None},
        {"product": "Bergamo"},
        {"expirationTime": "tomorrow"},
        {"expirationTime": "2027-01-01T00:00:00"},
    ],
    ids=str,
)
def test_refuses_reference_values_it_cannot_read(fields: dict[str, Any]) -> None:
    with pytest.raises(PolicyInvalid):
        decode_reference_values(values_body(**fields))


def test_a_value_without_expiration_is_in_force() -> None:
    assert decode_reference_values(values_body()).measurements[0].in_force(NOW)


@pytest.mark.parametrize(("seconds", "in_force"), [(-1, True), (0, False), (1, False)])
def test_a_value_is_in_force_until_its_expiration(seconds: int, *, in_force: bool) -> None:
    values = decode_reference_values(values_body(expirationTime=NOW.isoformat()))
    assert values.measurements[0].in_force(NOW + timedelta(seconds=seconds)) is in_force


def test_an_empty_selector_selects_everything() -> None:
    assert LabelSelector().matches({})


def test_match_labels_must_all_be_there() -> None:
    selector = LabelSelector(match_labels={"a": "1", "b": "2"})
    assert selector.matches({"a": "1", "b": "2", "c": "3"})
    assert not selector.matches({"a": "1", "b": "3"})
    assert not selector.matches({"a": "1"})


@pytest.mark.parametrize(
    ("one", "absent", "listed", "unlisted"),
    [
        (term(SelectorOperator.IN, "x", "y"), False, True, False),
        (term(SelectorOperator.NOT_IN, "x", "y"), True, False, True),
        (term(SelectorOperator.EXISTS), False, True, True),
        (term(SelectorOperator.DOES_NOT_EXIST), True, False, False),
    ],
    ids=lambda value: value.operator if isinstance(value, SelectorTerm) else "",
)
def test_terms_match_as_in_kubernetes(
    one: SelectorTerm, *, absent: bool, listed: bool, unlisted: bool
) -> None:
    answers = [one.matches(labels) for labels in ({}, {"zone": "x"}, {"zone": "z"})]
    assert answers == [absent, listed, unlisted]


def test_labels_and_expressions_must_both_hold() -> None:
    selector = LabelSelector(
        match_labels={"a": "1"}, match_expressions=(term(SelectorOperator.EXISTS),)
    )
    assert not selector.matches({"a": "1"})
    assert selector.matches({"a": "1", "zone": ""})


@given(st.dictionaries(st.sampled_from(["zone", "a"]), st.sampled_from(["x", "y", ""])))
def test_opposite_operators_never_agree(labels: dict[str, str]) -> None:
    for operator, opposite in (
        (SelectorOperator.IN, SelectorOperator.NOT_IN),
        (SelectorOperator.EXISTS, SelectorOperator.DOES_NOT_EXIST),
    ):
        assert term(operator, "x").matches(labels) != term(opposite, "x").matches(labels)
