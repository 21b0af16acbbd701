"""The CRDs are the source of truth; the models and the reader's needs are held against them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import inspect

from nodeproof import challenge, protocol
from nodeproof.policy import (
    GROUP,
    MEASUREMENT_SIZE,
    VERSION,
    PolicySpec,
    ReferenceValueSetSpec,
)
from nodeproof.result import MAX_FACT_LENGTH, AttestationPolicyStatus, NodeAttestationStatus
from nodeproof.unavailability import Cause

CRDS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
}
REPORT_SIZE = 1184
BY_KUBERNETES = {"apiVersion", "kind", "metadata"}
MODELS = [
    ("attestationpolicies", "spec", PolicySpec),
    ("attestationpolicies", "status", AttestationPolicyStatus),
    ("referencevaluesets", "spec", ReferenceValueSetSpec),
    ("nodeattestations", "status", NodeAttestationStatus),
]

Schema = dict[str, Any]


def version(name: str) -> dict[str, Any]:
    (only,) = CRDS[name]["spec"]["versions"]
    return dict(only)


def schema(name: str, *path: str) -> Schema:
    found = version(name)["schema"]["openAPIV3Schema"]
    for step in path:
        found = found["items"] if step == "[]" else found["properties"][step]
    return dict(found)


def parts(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every schema below this one, with its path."""
    for name, child in node.get("properties", {}).items():
        if name not in BY_KUBERNETES:
            yield f"{path}.{name}", child
            yield from parts(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            yield f"{path}{mark}", node[key]
            yield from parts(node[key], f"{path}{mark}")


ALL_PARTS = [
    pytest.param(part, id=f"{name}{path}") for name in CRDS for path, part in parts(schema(name))
]
NAMED_PARTS = [each for each in ALL_PARTS if not str(each.id).endswith(("[]", "{}"))]
SPEC_PARTS = [each for each in ALL_PARTS if ".spec" in str(each.id)]


def base64_length(size: int) -> int:
    return 4 * math.ceil(size / 3)


def default_of(field: inspect.Field) -> Any:
    factory = field.default_factory
    value = field.default if factory is msgspec.NODEFAULT else factory()
    return msgspec.json.decode(msgspec.json.encode(value))


def compare(node: Schema, kind: inspect.Type, path: str) -> None:
    """Assert that a schema and a model describe the same values."""
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        (kind,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
        return compare(node, kind, path)
    if isinstance(kind, inspect.StructType):
        return compare_struct(node, kind, path)
    if isinstance(kind, inspect.VarTupleType):
        assert node["type"] == "array", path
        return compare(node["items"], kind.item_type, f"{path}[]")
    if isinstance(kind, inspect.EnumType):
        assert node["enum"] == [each.value for each in kind.cls], path
        return None
    expected = {
        inspect.StrType: ("string", None),
        inspect.IntType: ("integer", node.get("format")),
        inspect.BytesType: ("string", "byte"),
        inspect.DateTimeType: ("string", "date-time"),
        inspect.DictType: ("object", None),
    }[type(kind)]
    assert (node["type"], node.get("format")) == expected, path
    return None


def compare_struct(node: Schema, kind: inspect.StructType, path: str) -> None:
    assert node["type"] == "object", path
    assert set(node["properties"]) == {field.encode_name for field in kind.fields}, path
    required = {field.encode_name for field in kind.fields if field.required}
    # A status is written piece by piece, so its top level asks for nothing.
    assert set(node.get("required", ())) in (required, set()), path
    for field in kind.fields:
        compare(node["properties"][field.encode_name], field.type, f"{path}.{field.encode_name}")


def compare_defaults(node: Schema, kind: inspect.StructType, path: str) -> None:
    for field in kind.fields:
        child, where = node["properties"][field.encode_name], f"{path}.{field.encode_name}"
        if isinstance(field.type, inspect.StructType):
            compare_defaults(child, field.type, where)
            whole = default_of(field)
            assert filled(child, child["default"]) == whole, where
        elif "default" in child:
            assert child["default"] == default_of(field), where
        else:
            assert field.required or not default_of(field), where


def filled(node: Schema, value: Any) -> Any:
    """Return a value with the schema's defaults, as the API server would."""
    if node["type"] != "object":
        return value
    known = node.get("properties", {})
    defaults = {name: child["default"] for name, child in known.items() if "default" in child}
    empty: dict[str, Any] = {"object": {}, "array": []}
    complete = {name: empty.get(child["type"]) for name, child in known.items()} | defaults | value
    return {name: filled(known[name], each) for name, each in complete.items()}


def test_there_are_exactly_three() -> None:
    assert list(CRDS) == ["attestationpolicies", "nodeattestations", "referencevaluesets"]


@pytest.mark.parametrize(("name", "part", "model"), MODELS)
def test_models_have_the_fields_types_and_enums_of_the_crd(
    name: str, part: str, model: type[msgspec.Struct]
) -> None:
    compare(schema(name, part), inspect.type_info(model), part)


@pytest.mark.parametrize(("name", "part", "model"), [each for each in MODELS if each[1] == "spec"])
def test_models_have_the_defaults_of_the_crd(
    name: str, part: str, model: type[msgspec.Struct]
) -> None:
    kind = inspect.type_info(model)
    assert isinstance(kind, inspect.StructType)
    compare_defaults(schema(name, part), kind, part)


@pytest.mark.parametrize("name", CRDS)
def test_is_named_and_scoped_as_agreed(name: str) -> None:
    spec = CRDS[name]["spec"]
    assert CRDS[name]["metadata"]["name"] == f"{name}.{GROUP}"
    assert (spec["group"], version(name)["name"], spec["scope"]) == (GROUP, VERSION, "Cluster")
    assert spec["names"]["categories"] == ["attestation"]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("attestationpolicies", "attpol"),
        ("referencevaluesets", "refvals"),
        ("nodeattestations", "natt"),
    ],
)
def test_has_a_short_name(name: str, short: str) -> None:
    assert CRDS[name]["spec"]["names"]["shortNames"] == [short]


@pytest.mark.parametrize("name", ["attestationpolicies", "nodeattestations"])
def test_status_is_written_apart_from_spec(name: str) -> None:
    assert version(name)["subresources"] == {"status": {}}


def test_node_attestations_can_be_selected_by_node() -> None:
    assert version("nodeattestations")["selectableFields"] == [{"jsonPath": ".spec.nodeName"}]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("attestationpolicies", "Mode Signers Attested Matching Ready Age"),
        ("referencevaluesets", "Age"),
        ("nodeattestations", "Attested Reason Signer Expires Age Message"),
    ],
)
def test_get_shows(name: str, columns: str) -> None:
    shown = version(name)["additionalPrinterColumns"]
    assert [each["name"] for each in shown if not each.get("priority")] == columns.split()


@pytest.mark.parametrize("part", ALL_PARTS)
def test_every_field_is_bounded(part: Schema) -> None:
    bounds = {
        "string": {"enum", "maxLength"},
        "integer": {"maximum"},
        "array": {"maxItems"},
        "object": {"properties", "maxProperties"},
    }[part["type"]]
    assert bounds & set(part) or part.get("format") == "date-time"


@pytest.mark.parametrize("part", ALL_PARTS)
def test_every_integer_has_a_format_and_a_minimum(part: Schema) -> None:
    assert part["type"] != "integer" or {"format", "minimum"} <= set(part)


@pytest.mark.parametrize("part", ALL_PARTS)
def test_every_list_says_how_it_merges(part: Schema) -> None:
    assert part["type"] != "array" or "x-kubernetes-list-type" in part


@pytest.mark.parametrize("part", NAMED_PARTS)
def test_every_field_is_documented(part: Schema) -> None:
    assert part["description"].endswith((".", "…"))


@pytest.mark.parametrize("part", SPEC_PARTS)
def test_specs_have_no_booleans(part: Schema) -> None:
    assert part["type"] != "boolean"


@pytest.mark.parametrize("part", ALL_PARTS)
def test_nothing_is_kept_that_the_schema_does_not_know(part: Schema) -> None:
    assert "x-kubernetes-preserve-unknown-fields" not in part


@pytest.mark.parametrize("name", ["attestationpolicies", "nodeattestations"])
def test_conditions_are_those_of_kubernetes(name: str) -> None:
    conditions = schema(name, "status", "conditions")
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert conditions["items"]["required"] == [
        "type",
        "status",
        "reason",
        "message",
        "lastTransitionTime",
    ]


def test_all_kinds_have_the_same_conditions() -> None:
    one, other = (
        schema(name, "status", "conditions")["items"]
        for name in ("attestationpolicies", "nodeattestations")
    )
    assert one == other


@pytest.mark.parametrize("name", CRDS)
def test_there_is_no_phase(name: str) -> None:
    assert not [path for path, _ in parts(schema(name)) if path.endswith(".phase")]


def test_a_measurement_is_as_long_as_the_reports() -> None:
    measurement = schema("referencevaluesets", "spec", "measurements", "[]", "measurement")
    assert measurement["minLength"] == measurement["maxLength"] == 2 * MEASUREMENT_SIZE


def test_the_causes_of_missing_evidence_are_those_of_the_agent() -> None:
    cause = schema("nodeattestations", "status", "unavailable", "cause")
    assert cause["enum"] == [str(each) for each in Cause]


def test_stored_evidence_has_the_sizes_of_the_wire() -> None:
    evidence = schema("nodeattestations", "status", "evidence")["properties"]
    assert evidence["challenge"]["maxLength"] == base64_length(challenge.MAX_SIZE)
    assert evidence["bootID"]["maxLength"] == protocol.MAX_BOOT_ID_LENGTH
    assert evidence["report"]["maxLength"] == base64_length(REPORT_SIZE)
    assert evidence["certificates"]["items"]["maxLength"] == base64_length(16 * 1024)


@pytest.mark.parametrize(
    "path",
    [
        ("lastRefusal", "message"),
        ("lastRefusal", "expected"),
        ("lastRefusal", "observed"),
        ("deferral", "message"),
        ("deferral", "expected"),
        ("unavailable", "message"),
        ("policies", "[]", "failedChecks", "[]", "expected"),
        ("policies", "[]", "failedChecks", "[]", "observed"),
    ],
    ids=".".join,
)
def test_facts_are_as_long_as_the_model_says(path: tuple[str, ...]) -> None:
    assert schema("nodeattestations", "status", *path)["maxLength"] == MAX_FACT_LENGTH
