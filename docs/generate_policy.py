"""Write the table of checks in docs/policy.md from the catalogue; with --check, only compare."""  # noqa: INP001 - a script

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from part import renew

from nodeproof.checks import CATALOGUE

ROOT = Path(__file__).resolve().parents[1]

Schema = dict[str, Any]


def _table() -> Iterator[str]:
    spec = _spec()
    yield "| ID | field of the policy, default | what it compares | what to do about a failure |"
    yield "|---|---|---|---|"
    for check in CATALOGUE.values():
        fields = "<br>".join(_field(spec, path) for path in check.fields)
        yield f"| `{check.id}` {check.title} | {fields} | {check.description} | {check.remedy} |"


def _spec() -> Schema:
    crd = yaml.safe_load((ROOT / "crds" / "attestationpolicies.yaml").read_text())
    (version,) = crd["spec"]["versions"]
    return dict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _field(spec: Schema, path: str) -> str:
    part = spec
    for step in path.split("."):
        part = part["properties"][step.removesuffix("[]")]
        part = part["items"] if step.endswith("[]") else part
    return f"`{path}`" + (f" {_default(part['default'])}" if "default" in part else "")


def _default(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    return str(value)


if __name__ == "__main__":
    sys.exit(renew("policy", _table()))
