from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof.errors import PolicyInvalid
from nodeproof.policy import (
    Covers,
    LabelSelector,
    Measurement,
    Mode,
    Requirement,
    SelectorOperator,
    SelectorTerm,
    SignerKind,
    TaintEffect,
    decode_policy,
    decode_reference_values,
)

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
    assert spec.enforcement.failure_effect is TaintEffect.NO_EXECUTE


def test_every_group_is_read() -> None:
    spec = decode_policy(
        policy_body(
            mode="Audit",
            nodeSelector={"matchLabels": {"a": "b"}},
            signer={"kinds": ["VLEK", "Simulated"]},
            guest={"smt": "Forbidden", "singleSocket": "Required", "vmpl": 2},
            freshness={"intervalSeconds": 10, "maximumAgeSeconds": 30},
            enforcement={"failureEffect": "NoSchedule", "unknownGraceSeconds": 0},
        )
    ).spec
    assert spec.mode is Mode.AUDIT
    assert spec.node_selector.match_labels == {"a": "b"}
    assert spec.signer.kinds == (SignerKind.VLEK, SignerKind.SIMULATED)
    assert (spec.guest.smt, spec.guest.vmpl) == (Requirement.FORBIDDEN, 2)
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
    assert decode_policy(policy_body(chips={"deny": []})).name == "confidential"


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
