"""Whether a CRD is of this release: it must know every field that we write or read. Pure.

The API server drops fields that a CRD does not have, without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from nodeproof.policy import VERSION, PolicySpec, ReferenceValueSetSpec
from nodeproof.result import AttestationPolicyStatus, NodeAttestationStatus
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.kinds import Kind

_MODELS: Mapping[Kind, Mapping[str, type[msgspec.Struct]]] = {
    Kind.POLICY: {"spec": PolicySpec, "status": AttestationPolicyStatus},
    Kind.REFERENCE_VALUE_SET: {"spec": ReferenceValueSetSpec},
    Kind.NODE_ATTESTATION: {"status": NodeAttestationStatus},
}


def trouble(kind: Kind, crd: Json) -> str:
    """Return why a CRD cannot be worked with, empty if it can."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    states = {each.get("type"): each.get("status") for each in conditions}
    if states.get("Established") != "True":
        return "is not established"
    for version in crd["spec"]["versions"]:
        if version.get("name") == VERSION and version.get("served"):
            lacking = list(_lacking(kind, version))
            return f"is of another release: it lacks {lacking[0]}" if lacking else ""
    return f"does not serve {VERSION}"


def _lacking(kind: Kind, version: Mapping[str, Any]) -> Iterator[str]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    for part, model in _MODELS[kind].items():
        yield from _missing(_property(schema, part), inspect.type_info(model), part)


def _missing(schema: Mapping[str, Any], kind: inspect.Type, path: str) -> Iterator[str]:
    if isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _missing(schema, each, path)
    elif isinstance(kind, inspect.CollectionType):
        yield from _missing(schema.get("items") or {}, kind.item_type, f"{path}[]")
    elif isinstance(kind, inspect.StructType):
        for field in kind.fields:
            where, child = f"{path}.{field.encode_name}", _property(schema, field.encode_name)
            if not child:
                yield where
            else:
                yield from _missing(child, field.type, where)


def _property(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (schema.get("properties") or {}).get(name) or {}
    return found
