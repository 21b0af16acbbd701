"""The network: none unless asked for, and then for real."""

from __future__ import annotations

import json
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from cases import endorsing
from fakes import simulated
from nodeproof.sevsnp.products import Product
from nodeproof_cli.__main__ import main
from nodeproof_dev.kds import KDSStandIn
from nodeproof_dev.kds_faults import status
from nodeproof_dev.kds_shelf import Shelf

MACHINE = simulated.machine(Product.MILAN)

_WITHOUT_AIOHTTP = """
import sys
sys.modules["aiohttp"] = None
"""
_WITHOUT_SOCKETS = """
sys.addaudithook(lambda event, _: event.startswith("socket.") and sys.exit(f"used: {event}"))
"""
_COMMAND = """
from nodeproof_cli.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def run_without(*arguments: str | Path, sockets: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command where aiohttp is not installed, and where any use of a socket ends it."""
    program = _WITHOUT_AIOHTTP + ("" if sockets else _WITHOUT_SOCKETS) + _COMMAND
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.bin"
    path.write_bytes(MACHINE.attest(bytes(64)))
    certs = tmp_path / "certs"
    certs.mkdir()
    (certs / "all.pem").write_bytes(endorsing.pem(*MACHINE.processor.certificates))
    return path


def test_without_fetch_no_socket_is_touched_and_no_client_needed(report: Path) -> None:
    ended = run_without("verify", "--report", report, "--certs", report.parent / "certs")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "RootUntrusted" in ended.stdout


def test_bundles_need_no_socket_either(report: Path) -> None:
    bundle = report.parent / "bundle"
    exported = run_without("bundle", "export", "--from", report, "--output", bundle)
    assert exported.returncode == 1
    assert run_without("bundle", "show", bundle).returncode == 0
    assert run_without("bundle", "import", bundle).returncode == 0


def test_fetch_says_what_to_install(report: Path) -> None:
    # The event loop makes itself a pair of sockets.
    ended = run_without("verify", "--report", report, "--fetch", sockets=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "pip install 'nodeproof[operator]'" in ended.stderr
    assert "Traceback" not in ended.stderr


class TestForReal:
    """Over HTTPS, from a key service on loopback."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> KDSStandIn:
        authority = simulated.authority(Product.MILAN)
        shelf = Shelf(authority, now=simulated.NOW)
        shelf.put_vceks([MACHINE])
        return KDSStandIn(tmp_path, shelf)

    def fetch(self, report: Path, *more: str) -> int:
        return main(
            ["verify", "--report", str(report), "--output", "json", "--fetch", *more],
            anchors=endorsing.anchors(),
            clock=lambda: simulated.NOW,
        )

    def test_everything(
        self, server: KDSStandIn, report: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with server:
            code = self.fetch(report, "--kds-url", server.url, "--kds-ca-file", str(server.ca_file))
        assert code == 0
        assert json.loads(capsys.readouterr().out)["outcome"] == "genuine"
        assert len(server.requests) == 3

    def test_not_from_a_server_that_nobody_vouches_for(
        self, server: KDSStandIn, report: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with server:
            assert self.fetch(report, "--kds-url", server.url) == 1
        said = capsys.readouterr()
        assert json.loads(said.out)["reason"] == "EndorsementsMissing"
        assert "not shown to be the key service" in said.err
        assert server.requests == ()

    def test_an_outage(
        self, server: KDSStandIn, report: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.fail(status(HTTPStatus.SERVICE_UNAVAILABLE))
        with server:
            code = self.fetch(report, "--kds-url", server.url, "--kds-ca-file", str(server.ca_file))
        assert code == 1
        assert "status 503" in capsys.readouterr().err

    def test_not_with_a_ca_file_that_holds_nothing(
        self, report: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.fetch(report, "--kds-ca-file", str(report)) == 2
        assert "CA file" in capsys.readouterr().err
