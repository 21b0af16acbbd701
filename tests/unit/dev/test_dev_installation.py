from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from nodeproof_dev import installation
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.errors import NotPossible
from nodeproof_dev.installation import Installation
from nodeproof_dev.operator_process import OperatorProcess


def test_documents_come_in_the_files_order_and_not_from_folders(tmp_path: Path) -> None:
    (tmp_path / "workloads").mkdir()
    (tmp_path / "workloads" / "c.yaml").write_text("name: operator")
    (tmp_path / "b.yaml").write_text("name: second\n---\n---\nname: third")
    (tmp_path / "a.yaml").write_text("name: first")
    names = [each["name"] for each in installation._documents(tmp_path)]
    assert names == ["first", "second", "third"]


def test_no_operator_url_while_none_runs() -> None:
    with pytest.raises(NotPossible):
        Installation(cast("ControlPlane", None)).operator_url()


def test_an_operator_is_told_its_rights_and_roots(tmp_path: Path) -> None:
    replica = OperatorProcess(
        "operator-1", tmp_path / "kubeconfig", tmp_path / "log", simulated_roots=[Path("/ark.pem")]
    )
    replica.ports = (1, 2)
    command = replica._command_line(replica.ports)
    assert {
        f"--kubeconfig={tmp_path / 'kubeconfig'}",
        "--allow-simulated=/ark.pem",
        "--identity=operator-1",
        "--advertise-name=127.0.0.1",
    } < set(command)
    assert (replica.url, replica.metrics_url) == ("https://127.0.0.1:1", "http://127.0.0.1:2")


def test_an_operator_accepts_no_simulated_root_unless_told(tmp_path: Path) -> None:
    replica = OperatorProcess("o", tmp_path / "k", tmp_path / "log", simulated_roots=[])
    assert "allow-simulated" not in " ".join(replica._command_line((1, 2)))


def test_an_operator_fetches_nothing_unless_told(tmp_path: Path) -> None:
    replica = OperatorProcess("o", tmp_path / "k", tmp_path / "log", simulated_roots=[])
    command = replica._command_line((1, 2))
    assert [each for each in command if each.startswith("--kds")] == ["--kds-url=off"]


def test_an_operator_is_told_its_kds(tmp_path: Path) -> None:
    replica = OperatorProcess(
        "o",
        tmp_path / "k",
        tmp_path / "log",
        simulated_roots=[],
        kds_url="https://127.0.0.1:1",
        kds_ca_file=Path("/kds-ca.crt"),
    )
    wanted = {"--kds-url=https://127.0.0.1:1", "--kds-ca-file=/kds-ca.crt"}
    assert wanted < set(replica._command_line((1, 2)))
