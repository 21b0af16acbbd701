"""Merge patch (RFC 7396) and JSON Patch (RFC 6902, the operations we send) over plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class PatchRefused(Exception):
    """A ``test`` does not hold or a pointer leads nowhere."""


def merge(target: Any, patch: Any) -> Any:
    """Return ``target`` with a merge patch applied; neither argument changes."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def apply(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """Apply a JSON Patch to ``document`` in place and return it."""
    for operation in operations:
        _apply_one(document, operation)
    return document


def _apply_one(document: Any, operation: Mapping[str, Any]) -> None:
    *parents, last = _pointer(operation["path"])
    holder = _descend(document, parents)
    match operation["op"]:
        case "test":
            _test(holder, last, operation["value"])
        case "add" | "replace" as kind:
            _put(holder, last, operation["value"], must_exist=kind == "replace")
        case "remove":
            _remove(holder, last)
        case other:
            raise PatchRefused(f"operation {other} is not known here")


def _pointer(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _descend(document: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        document = _get(document, part)
        if document is None:
            raise PatchRefused(f"there is no {part}")
    return document


def _get(holder: Any, key: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(key)
    return holder[int(key)] if key.isdigit() and int(key) < len(holder) else None


def _test(holder: Any, key: str, value: Any) -> None:
    # An absent member passes a test for null: so does the API server.
    if _get(holder, key) != value:
        raise PatchRefused(f"the test of {key} does not hold")


def _put(holder: Any, key: str, value: Any, *, must_exist: bool) -> None:
    if must_exist and _get(holder, key) is None:
        raise PatchRefused(f"there is no {key} to replace")
    if isinstance(holder, dict):
        holder[key] = value
    elif must_exist:
        holder[int(key)] = value
    else:
        holder.insert(len(holder) if key == "-" else int(key), value)


def _remove(holder: Any, key: str) -> None:
    if _get(holder, key) is None:
        raise PatchRefused(f"there is no {key} to remove")
    del holder[key if isinstance(holder, dict) else int(key)]
