from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cases.desk import Desk
from fakes import simulated
from nodeproof.sevsnp.certificates import MAX_CERTIFICATES
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator.processor import DEBUG_POLICY
from nodeproof_cli.__main__ import main


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


class TestAnswer:
    """What the command says, and its exit code."""

    def test_genuine_evidence(self, desk: Desk) -> None:
        code, answer = desk.ask()
        assert code == 0
        assert list(answer) == [
            *("outcome", "reason", "expected", "observed", "product", "report", "chain"),
        ]
        assert answer["outcome"] == "genuine"
        assert answer["reason"] is answer["expected"] is answer["observed"] is None
        assert answer["product"] == "Milan"
        assert [each["role"] for each in answer["chain"]] == ["VCEK", "ASK", "ARK"]
        assert answer["report"]["measurement"] == desk.machine.measurement.hex()

    def test_a_changed_report(self, desk: Desk) -> None:
        report = bytearray(desk.report.read_bytes())
        report[0x90] ^= 1
        desk.report.write_bytes(report)
        code, answer = desk.ask()
        assert code == 1
        assert answer["outcome"] == "refused"
        assert answer["reason"] == "SignatureInvalid"
        assert answer["expected"].startswith("signed by VCEK")
        assert answer["report"]["measurement"] == report[0x90:0xC0].hex()
        assert answer["product"] == "Milan"
        assert answer["chain"] == []

    @pytest.mark.parametrize("size", [0, 1183, 1185, 70_000])
    def test_a_report_of_another_size(self, desk: Desk, size: int) -> None:
        desk.report.write_bytes(bytes(size))
        code, answer = desk.ask()
        assert (code, answer["reason"]) == (1, "ReportMalformed")
        assert answer["expected"] == "1184 bytes"
        assert answer["report"] is answer["product"] is None

    def test_no_vek(self, desk: Desk) -> None:
        (desk.certs / "file 0").unlink()
        code, answer = desk.ask()
        assert (code, answer["reason"]) == (1, "EndorsementsMissing")

    def test_an_empty_folder(self, desk: Desk) -> None:
        for path in desk.certs.iterdir():
            path.unlink()
        code, answer = desk.ask()
        assert (code, answer["reason"]) == (1, "EndorsementsMissing")

    def test_amds_roots_are_trusted_and_no_others(self, desk: Desk) -> None:
        assert main(["verify", "--report", str(desk.report), "--certs", str(desk.certs)]) == 1
        assert "RootUntrusted" in desk.capture.readouterr().out

    def test_judges_by_the_time_asked_for(self, desk: Desk) -> None:
        after = (simulated.NOW + timedelta(days=8 * 365)).isoformat()
        code, answer = desk.ask("--at", after)
        assert (code, answer["reason"]) == (1, "ChainInvalid")

    @pytest.mark.parametrize(
        "time", ["2026-03-01T12:00:00Z", "2026-03-01t13:00:00.5+01:00", "2026-03-02 00:00:00z"]
    )
    def test_knows_the_forms_of_rfc_3339(self, desk: Desk, time: str) -> None:
        assert desk.run("--at", time)[0] == 0


class TestWords:
    """The answer for a person."""

    def test_genuine_evidence(self, desk: Desk) -> None:
        code, out = desk.run()
        assert code == 0
        assert out.startswith("GENUINE")
        assert desk.machine.measurement.hex() in out
        assert "Simulated" in out
        assert "Genuine is not yet acceptable" in out

    def test_a_refusal_says_why_and_what_to_do(self, desk: Desk) -> None:
        (desk.certs / "file 0").unlink()
        code, out = desk.run()
        assert code == 1
        assert out.startswith("REFUSED: EndorsementsMissing")
        assert "expected      a VCEK certificate" in out
        assert "https://kdsintf.amd.com" in out
        assert "nothing to show that it is true" in out

    def test_warns_of_a_guest_that_can_be_debugged(self, desk: Desk) -> None:
        desk.report.write_bytes(simulated.report(desk.machine, policy=DEBUG_POLICY))
        assert "DEBUG: the host can read" in desk.run()[1]

    def test_help_shows_an_example(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="0"):
            main(["verify", "--help"])
        assert "nodeproof verify --report report.bin --certs" in capsys.readouterr().out


class TestFolder:
    """What lies in the folder of certificates."""

    def test_one_file_may_hold_them_all(self, desk: Desk) -> None:
        certificates = desk.machine.processor.certificates
        for path in desk.certs.iterdir():
            path.unlink()
        notes = b"subject=CN = SEV-VCEK\r\n"
        bundle = b"".join(notes + pem(each) for each in certificates).replace(b"\n", b"\r\n")
        desk.write("certs/chain.txt", bundle)
        assert desk.run()[0] == 0

    def test_pem_and_der_mix(self, desk: Desk) -> None:
        vcek, _, ark = desk.machine.processor.certificates
        desk.write("certs/file 0", pem(vcek))
        desk.write("certs/file 2", pem(ark))
        assert desk.run()[0] == 0

    def test_other_files_are_ignored(self, desk: Desk) -> None:
        vcek = desk.machine.processor.certificates[0]
        others = {
            "README.md": b"# certificates",
            "report.bin": desk.report.read_bytes(),
            "empty": b"",
            "cut.der": vcek[:100],
            "broken.pem": b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
            "half.pem": b"-----BEGIN CERTIFICATE-----\n" * 3,
            "key.pem": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "large.der": b"\x30\x82\xff\xff" + bytes(20_000),
            "huge": bytes(2**20 + 1),
            "deeper/vcek.der": b"not looked at",
        }
        for name, data in others.items():
            desk.write(f"certs/{name}", data)
        os.mkfifo(desk.certs / "a pipe that nobody writes to")
        (desk.certs / "dangling").symlink_to("nowhere")
        assert desk.run()[0] == 0

    def test_a_broken_block_beside_good_ones_is_ignored(self, desk: Desk) -> None:
        vcek = pem(desk.machine.processor.certificates[0])
        broken = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
        desk.write("certs/file 0", broken + vcek)
        assert desk.run()[0] == 0

    def test_of_several_veks_the_one_that_fits_is_taken(self, desk: Desk) -> None:
        count = MAX_CERTIFICATES + 8
        key = desk.machine.processor.vcek_key.public_key()
        issue = simulated.authority().issue_vcek
        for number in range(count):
            chip = number.to_bytes(64, "big")
            vcek = issue(key, chip, desk.machine.processor.tcb, simulated.NOW)
            desk.write(f"certs/a{number}", vcek)
        code, answer = desk.ask()
        assert code == 0
        chosen = desk.machine.processor.certificates[0]
        expected = x509.load_der_x509_certificate(chosen).fingerprint(SHA256()).hex()
        assert answer["chain"][0]["sha256"] == expected

    def test_veks_that_seem_to_fit_hide_none_that_does(self, desk: Desk) -> None:
        impostor = simulated.impostor()
        processor = desk.machine.processor
        for number in range(MAX_CERTIFICATES + 8):
            begin = simulated.NOW - timedelta(seconds=number)
            key = processor.vcek_key.public_key()
            forged = impostor.issue_vcek(key, processor.chip_id, processor.tcb, begin)
            desk.write(f"certs/a{number}", forged)
        assert desk.run()[0] == 0

    def test_chains_of_all_products_may_lie_there(self, desk: Desk) -> None:
        for product in Product:
            other = simulated.machine(product, seed=1)
            for number, certificate in enumerate(other.processor.certificates):
                desk.write(f"certs/{product}{number}", certificate)
        assert desk.run()[0] == 0


class TestRevocation:
    """Lists given with ``--crl``."""

    def test_a_list_that_clears_the_signer(self, desk: Desk) -> None:
        crl = desk.write("crl.der", simulated.authority().issue_crl(simulated.NOW))
        code, out = desk.run("--crl", crl)
        assert code == 0
        assert "not on AMD's list of 2026-02-28T12:00:00Z" in out

    def test_a_folder_of_lists_and_other_files(self, desk: Desk) -> None:
        for product in Product:
            crl = simulated.authority(product).issue_crl(simulated.NOW)
            text = x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)
            desk.write(f"crls/{product}", text)
        desk.write("crls/note", b"fetched today")
        assert desk.run("--crl", desk.directory / "crls")[0] == 0

    def test_a_list_that_names_the_signer(self, desk: Desk) -> None:
        ask = x509.load_der_x509_certificate(desk.machine.processor.certificates[1])
        crl = simulated.authority().issue_crl(simulated.NOW, [ask.serial_number])
        code, answer = desk.ask("--crl", desk.write("crl.der", crl))
        assert (code, answer["reason"]) == (1, "SignerRevoked")

    @pytest.mark.parametrize("data", [b"", b"?", bytes(2**20 + 1)])
    def test_what_is_no_list_tells_nothing(self, desk: Desk, data: bytes) -> None:
        code, answer = desk.ask("--crl", desk.write("crl.der", data))
        assert (code, answer["reason"]) == (1, "RevocationUnknown")

    def test_a_list_that_is_over(self, desk: Desk) -> None:
        crl = desk.write("crl.der", simulated.authority().issue_crl(simulated.NOW))
        code, answer = desk.ask("--crl", crl, "--at", "2026-06-01T00:00:00Z")
        assert (code, answer["reason"]) == (1, "RevocationUnknown")


class TestUnusable:
    """Wrong usage and input that cannot be read: exit code 2."""

    @pytest.mark.parametrize(
        "more",
        [
            ["--at", "yesterday"],
            ["--at", "2026-03-01"],
            ["--at", "2026-03-01T12:00:00"],
            ["--at", "2026-02-30T12:00:00Z"],
            ["--at", "0001-01-01T00:00:00+14:00"],
            ["--output", "yaml"],
            ["--kds-url", "https://kds.example"],
            ["--fetch", "--kds-url", "http://kds.example"],
            ["--fetch", "--kds-url", "https://kds.example/?x=1"],
            ["--fetch", "--kds-proxy", "socks://proxy.example"],
            ["--save", "folder"],
            ["--report", "a\0b"],
            ["--crl", ""],
            ["surplus"],
        ],
    )
    def test_wrong_usage(self, desk: Desk, more: list[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            desk.run(*more)

    @pytest.mark.parametrize("arguments", [[], ["verify"], ["verify", "--report", "r"], ["prove"]])
    def test_incomplete_usage(self, arguments: list[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(arguments)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda desk: ["--report", desk.directory / "nowhere"],
            lambda desk: ["--report", desk.certs],
            lambda desk: ["--certs", desk.directory / "nowhere"],
            lambda desk: ["--certs", desk.report],
            lambda desk: ["--crl", desk.directory / "nowhere"],
            lambda _: ["--report", "x" * 5000],
        ],
    )
    def test_input_that_cannot_be_read(
        self, desk: Desk, spoil: Callable[[Desk], list[str | Path]]
    ) -> None:
        assert desk.run(*spoil(desk)) == (2, "")

    def test_says_which_file(self, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
        desk.report.unlink()
        arguments = ["verify", "--report", str(desk.report), "--certs", str(desk.certs)]
        assert main(arguments) == 2
        assert str(desk.report) in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error(desk: Desk) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    inputs = ["--report", str(desk.report), "--certs", str(desk.certs)]
    ended = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "nodeproof_cli", "verify", *inputs],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, b"")
