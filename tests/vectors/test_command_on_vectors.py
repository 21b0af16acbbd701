"""Every genuine report through the command, from the folders as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fakes import genuine
from fakes.genuine import Vector
from nodeproof_cli.__main__ import main

pytestmark = pytest.mark.vectors

EXIT_CODES = {"valid": 0, "invalid": 1, "unverifiable": 1}

NAMES = {
    "flags": "key_info",
    "smt_allowed": "smt",
    "cxl_allowed": "cxl_allow",
    "ciphertext_hiding": "ciphertext_hiding_dram",
    "ciphertext_hiding_en": "ciphertext_hiding_dram_en",
}
"""Where the folders use other words than AMD."""

DERIVED = {"cpuid_fms_hex", "product_from_cpuid"}
"""What the folders give beside the fields of the report."""


def run(
    vector: Vector, capsys: pytest.CaptureFixture[str], *more: str | Path
) -> tuple[int, dict[str, Any]]:
    inputs = ["--report", vector.folder / "report.bin", "--certs", vector.folder]
    arguments = ["verify", *inputs, "--at", vector.valid_at.isoformat(), "--output", "json", *more]
    code = main([str(each) for each in arguments])
    return code, json.loads(capsys.readouterr().out)


def renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {NAMES.get(name, name): renamed(each) for name, each in value.items()}
    return value


def holds(answer: Any, expected: Any) -> bool:
    """Tell whether an answer says all that is expected, and perhaps more."""
    if isinstance(expected, dict):
        return all(holds(answer[name], value) for name, value in expected.items())
    return bool(answer == expected)


def test_outcome(vector: Vector, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = run(vector, capsys)
    assert code == EXIT_CODES[vector.about["expected"]]
    assert answer["outcome"] == ("refused" if code else "genuine")
    if code == 0:
        assert answer["product"] == vector.about["product"]
    elif vector.about["expected"] == "unverifiable":
        assert answer["reason"] == "EndorsementsMissing"
    else:
        assert answer["reason"] in {"SignatureInvalid", "ChainInvalid"}


def test_fields(vector: Vector, capsys: pytest.CaptureFixture[str]) -> None:
    _, answer = run(vector, capsys)
    stated = {name: value for name, value in vector.about["fields"].items() if name not in DERIVED}
    assert holds(answer["report"], renamed(stated))


def test_the_chain_is_that_of_the_folder(
    valid_vector: Vector, capsys: pytest.CaptureFixture[str]
) -> None:
    _, answer = run(valid_vector, capsys)
    vek = valid_vector.about["vek"]
    assert (answer["chain"][0]["role"], answer["chain"][0]["serial"]) == (
        valid_vector.about["signing_key"],
        vek["serial"],
    )
    assert f"CN={vek['issuer']}," in answer["chain"][0]["issuer"]


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """All certificates of all folders in one."""
    for vector in genuine.load_all():
        for path in vector.folder.iterdir():
            (tmp_path / f"{vector.name}-{path.name}").write_bytes(path.read_bytes())
    return tmp_path


def test_finds_its_own_among_all_certificates(
    valid_vector: Vector, everything: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = run(valid_vector, capsys, "--certs", everything)
    assert code == 0
