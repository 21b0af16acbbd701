from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fakes import simulated
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.report import parse_report
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.simulator.__main__ import main


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A directory with a Genoa authority in ``lab``."""
    simulated.authority(Product.GENOA).save(tmp_path / "lab")
    return tmp_path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_makes_an_authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("authority", tmp_path, "--product", "Turin") == 0
    authority = SimulatedAuthority.load(tmp_path)
    assert authority.product is Product.TURIN
    assert authority.anchor().public_key_sha256 in capsys.readouterr().out


def test_makes_a_machine(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("machine", lab / "node", "--authority", lab / "lab", "--report-version", 3) == 0
    machine = SimulatedMachine.load(lab / "node")
    assert (machine.product, machine.report_version) == (Product.GENOA, 3)
    assert shown(capsys)["measurement"] == machine.measurement.hex()


def test_makes_a_machine_that_allows_debugging(lab: Path) -> None:
    assert run("machine", lab / "node", "--authority", lab / "lab", "--debug") == 0
    report = SimulatedMachine.load(lab / "node").attest(bytes(64))
    assert parse_report(report).policy.debug


def test_reboots_with_another_measurement(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("machine", lab / "node", "--authority", lab / "lab")
    before = shown(capsys)
    assert run("reboot", lab / "node", "--measurement", "ab" * 48) == 0
    after = shown(capsys)
    assert after["measurement"] == "ab" * 48
    assert after["bootID"] != before["bootID"]
    assert after["chipID"] == before["chipID"]


def test_a_plain_reboot_keeps_the_measurement(lab: Path) -> None:
    run("machine", lab / "node", "--authority", lab / "lab", "--measurement", "cd" * 48)
    assert run("reboot", lab / "node") == 0
    assert SimulatedMachine.load(lab / "node").measurement == b"\xcd" * 48


def test_shows_no_key(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("machine", lab / "node", "--authority", lab / "lab")
    capsys.readouterr()
    assert run("show", lab / "node") == 0
    assert set(shown(capsys)) == {
        "product",
        "chipID",
        "tcb",
        "measurement",
        "policy",
        "reportVersion",
        "bootID",
        "reportID",
    }


def test_says_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", tmp_path / "nothing") == 1
    assert "nothing/machine.json" in capsys.readouterr().err


@pytest.mark.parametrize("measurement", ["", "ab", "zz" * 48])
def test_refuses_a_measurement_that_is_none(
    lab: Path, capsys: pytest.CaptureFixture[str], measurement: str
) -> None:
    with pytest.raises(SystemExit):
        run("reboot", lab / "node", "--measurement", measurement)
    assert "96 hexadecimal digits" in capsys.readouterr().err


def test_attests(lab: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    run("machine", lab / "node", "--authority", lab / "lab")
    capsysbinary.readouterr()
    assert run("attest", lab / "node", "--report-data", "ab" * 64) == 0
    written = capsysbinary.readouterr().out
    assert written[0x50:0x90] == b"\xab" * 64
    assert len(parse_certificate_table(written[1184:])) == 3


def test_refuses_report_data_of_another_size(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("attest", lab, "--report-data", "ab")
    assert "expected 128 hexadecimal digits" in capsys.readouterr().err
