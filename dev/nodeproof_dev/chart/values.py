"""The chart's values as they are documented: key, default, and the comment above the key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from nodeproof_dev.helm import CHART

_KEY = re.compile(r"^( *)([A-Za-z]+):")
_COMMENT = re.compile(r"^ *# ?(.*)$")

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart.

    Attributes:
        path: Its keys, outermost first.
        default: What it is unless set; a mapping that is documented as a whole is one value.
        text: Its documentation; empty if there is none.
    """

    path: tuple[str, ...]
    default: Any
    text: str

    @property
    def key(self) -> str:
        """The path as ``--set`` takes it."""
        return ".".join(self.path)


def values_text() -> str:
    """Return values.yaml."""
    return (CHART / "values.yaml").read_text()


def schema() -> Schema:
    """Return values.schema.json."""
    read: Schema = json.loads((CHART / "values.schema.json").read_text())
    return read


def documented(text: str) -> list[Value]:
    """Return the values of a values.yaml in its order; each comment ends with its key's line."""
    defaults = yaml.safe_load(text)
    found: list[Value] = []
    for path, comment in _keys(text):
        default = _at(defaults, path)
        within_documented = any(path[: len(each.path)] == each.path for each in found)
        if not within_documented and (comment or not isinstance(default, dict)):
            found.append(Value(path, default, comment))
    return found


def schema_keys(definition: Schema, known: Schema, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the keys of all values that a schema names, as ``--set`` takes them.

    Args:
        definition: The schema of one value.
        known: What its references name.
        path: Where that value is.
    """
    if "$ref" in definition:
        definition = known[definition["$ref"].rpartition("/")[2]]
    named = definition.get("properties", {})
    for key, inner in named.items():
        yield from schema_keys(inner, known, (*path, key))
    if not named:
        yield ".".join(path)


def _keys(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if said := _COMMENT.match(line):
            comment.append(said[1])
            continue
        if key := _KEY.match(line):
            indent = len(key[1])
            path = [each for each in path if each[0] < indent] + [(indent, key[2])]
            yield tuple(name for _, name in path), " ".join(comment)
        comment = []


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values
