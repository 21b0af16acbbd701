"""What the API server accepts as the next state of an object, and where objects live."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from nodeproof_operator.cluster.errors import Conflict, Invalid, Unreachable
from nodeproof_operator.cluster.gateway import Json

CUSTOM = frozenset({"nodeattestations", "attestationpolicies", "referencevaluesets"})
WITH_STATUS = CUSTOM | {"nodes"}
VERSIONED_UPDATES = CUSTOM | {"leases"}
"""Kinds that cannot be replaced without naming a resourceVersion."""

_IMPOSSIBLE_TIME = re.compile(r"^[0-9]{5,}-[0-9]{2}-[0-9]{2}T")
"""What the server can store but not read back: a Node that holds one takes no ordinary patch."""


@dataclass(frozen=True, slots=True)
class Address:
    """A path taken apart."""

    collection: str
    resource: str
    name: str
    subresource: str

    @property
    def key(self) -> str:
        return f"{self.collection}/{self.name}"

    @property
    def custom_status(self) -> bool:
        return self.subresource == "status" and self.resource in CUSTOM


def copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def address_of(path: str) -> Address:
    parts = path.strip("/").split("/")
    prefix, rest = parts[: 2 if parts[0] == "api" else 3], parts[2 if parts[0] == "api" else 3 :]
    if rest[0] == "namespaces" and len(rest) > 2:
        prefix, rest = [*prefix, *rest[:2]], rest[2:]
    name, subresource = [*rest[1:], "", ""][:2]
    return Address("/" + "/".join([*prefix, rest[0]]), rest[0], name, subresource)


def selected(body: Json, selector: str) -> bool:
    """Tell whether an object has the labels of a selector that knows nothing but equality."""
    labels = body["metadata"].get("labels") or {}
    wanted = (each.partition("=") for each in selector.split(",") if each)
    return all(labels.get(key) == value for key, _, value in wanted)


def check_times(node: Json) -> None:
    if any(_IMPOSSIBLE_TIME.match(each) for each in _strings(node)):
        raise Invalid('parsing time "10000-01-01T04:59:59Z"', status=422)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for part in parts for each in _strings(part)]


def check_preconditions(address: Address, old: Json, new: Json) -> None:
    version = new["metadata"].get("resourceVersion")
    if version and not version.isdigit():
        raise Unreachable("the server has failed", status=500)
    if version not in {None, "", "0", old["metadata"]["resourceVersion"]}:
        raise Conflict("the object has been modified", status=409)
    uid = new["metadata"].get("uid")
    # On the status of custom resources a uid that does not fit is ignored.
    if uid and uid != old["metadata"]["uid"] and not address.custom_status:
        raise Invalid("metadata.uid: field is immutable", status=422)


def admitted(address: Address, old: Json, new: Json) -> Json:
    if address.subresource == "status":
        result = {**old, "status": new.get("status")}
        if address.resource == "nodes":
            result["metadata"] = {**old["metadata"], "labels": new["metadata"].get("labels", {})}
        return _without_nulls(result)
    if address.resource == "nodeattestations" and new.get("spec") != old.get("spec"):
        raise Invalid("spec: a NodeAttestation stays with its node", status=422)
    kept = {"status": old.get("status")} if address.resource in WITH_STATUS else {}
    return _without_nulls({**new, **kept, "metadata": _metadata(old["metadata"], new["metadata"])})


def _metadata(old: Json, new: Json) -> Json:
    served = ("name", "uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")
    result = {**new, **{key: old.get(key) for key in served}}
    return _without_nulls({**result, "labels": result.get("labels") or None})


def _without_nulls(value: Json) -> Json:
    return {key: each for key, each in value.items() if each is not None}
