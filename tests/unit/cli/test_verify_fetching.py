from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cases import endorsing
from cases.counter import Counter, FakeKDS
from fakes import simulated
from nodeproof.sevsnp.bits import SigningKey
from nodeproof.sevsnp.certificates import Role, load_certificates
from nodeproof.sevsnp.kds import BASE_URL, CAName, CRLName, VCEKName, vcek_names
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator.encoding import encode_tcb
from nodeproof_cli.asking import PATIENCE_SECONDS
from nodeproof_operator.endorsements.errors import Throttled, Unavailable

NOW = simulated.NOW
CHAIN = CAName(Product.MILAN, Role.ASK)
LIST = CRLName(Product.MILAN, Role.ASK)
MACHINE = simulated.machine(Product.MILAN)
REPORT = MACHINE.attest(bytes(64))
(VCEK,) = vcek_names(REPORT)


@pytest.fixture
def counter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Counter:
    """The command beside a report, and a key service that has all of it."""
    counter = Counter(tmp_path, capsys, FakeKDS(endorsing.offers(MACHINE)))
    counter.write("report.bin", REPORT)
    return counter


def verify(counter: Counter, *more: str | Path) -> tuple[int, dict[str, Any]]:
    arguments = ("verify", "--report", counter.directory / "report.bin", "--output", "json")
    code, out = counter.run(*arguments, *more)
    answer = json.loads(out)
    assert isinstance(answer, dict)
    return code, answer


def throttled(seconds: float | None) -> Throttled:
    return Throttled("the key service is asked too often", retry_after_seconds=seconds)


class TestFetched:
    """What is missing is asked for, and nothing else."""

    def test_everything_of_a_bare_report(self, counter: Counter) -> None:
        code, answer = verify(counter, "--fetch")
        assert (code, answer["outcome"]) == (0, "genuine")
        assert counter.kds.asked == [CHAIN, VCEK, LIST]
        assert counter.waited == []

    def test_only_the_list_where_the_folder_has_the_rest(self, counter: Counter) -> None:
        for number, der in enumerate(MACHINE.processor.certificates):
            counter.write(f"certs/{number}", der)
        assert verify(counter, "--fetch", "--certs", counter.directory / "certs")[0] == 0
        assert counter.kds.asked == [LIST]

    def test_only_the_chain_where_the_folder_has_the_vcek(self, counter: Counter) -> None:
        counter.write("certs/vcek", MACHINE.processor.certificates[0])
        assert verify(counter, "--fetch", "--certs", counter.directory / "certs")[0] == 0
        assert counter.kds.asked == [CHAIN, LIST]

    def test_nothing_where_a_list_is_there_as_well(self, counter: Counter) -> None:
        for number, der in enumerate(MACHINE.processor.certificates):
            counter.write(f"certs/{number}", der)
        crl = counter.write("crl", simulated.authority(Product.MILAN).issue_crl(NOW))
        more = ("--certs", counter.directory / "certs", "--crl", crl)
        assert verify(counter, "--fetch", *more)[0] == 0
        assert counter.kds.asked == []

    def test_the_right_vcek_where_the_folder_has_that_of_older_firmware(
        self, counter: Counter
    ) -> None:
        vcek, *ca = MACHINE.processor.certificates
        key, tcb = (
            MACHINE.processor.vcek_key.public_key(),
            msgspec.structs.replace(VCEK.tcb, microcode=1),
        )
        authority = simulated.authority(Product.MILAN)
        counter.write("certs/old", authority.issue_vcek(key, MACHINE.chip_id, tcb, NOW))
        for number, der in enumerate(ca):
            counter.write(f"certs/{number}", der)
        assert verify(counter, "--fetch", "--certs", counter.directory / "certs")[0] == 0
        assert counter.kds.asked == [VCEK, LIST]
        assert vcek == counter.kds.offered[VCEK]

    def test_version_2_is_looked_for_at_both_products(self, counter: Counter) -> None:
        genoa = simulated.machine(Product.GENOA)
        counter.kds.offered = endorsing.offers(genoa)
        counter.write("report.bin", simulated.report(genoa, version=2))
        code, answer = verify(counter, "--fetch")
        assert (code, answer["product"]) == (0, "Genoa")
        asked = [(type(name), name.product) for name in counter.kds.asked]
        assert asked == [
            (CAName, Product.MILAN),
            (VCEKName, Product.MILAN),
            (CAName, Product.GENOA),
            (VCEKName, Product.GENOA),
            (CRLName, Product.GENOA),
        ]

    def test_an_old_report_is_held_against_the_list_of_today(self, counter: Counter) -> None:
        assert verify(counter, "--fetch", "--at", "2026-02-28T12:00:00Z")[0] == 0
        code, _ = verify(counter, "--fetch", "--at", "2027-03-01T12:00:00Z")
        assert code == 0

    def test_says_on_standard_error_what_it_does(self, counter: Counter) -> None:
        verify(counter, "--fetch")
        assert "asking the key service for the ASK and ARK of Milan" in counter.told
        assert "revocation list of Milan" in counter.told

    def test_can_be_saved_and_is_enough_next_time(self, counter: Counter) -> None:
        saved = counter.directory / "saved" / "here"
        verify(counter, "--fetch", "--save", saved)
        kinds = sorted(path.name.rpartition("-")[0] for path in saved.iterdir())
        assert kinds == ["milan-ark", "milan-ask", "milan-crl", "milan-vcek"]
        assert len(counter.addresses) == 1
        assert verify(counter, "--certs", saved, "--crl", saved)[0] == 0
        assert len(counter.addresses) == 1

    def test_from_the_service_that_was_named(self, counter: Counter) -> None:
        verify(counter, "--fetch")
        options = ("--kds-url", "https://m.example", "--kds-proxy", "http://u:p@x.example:8080")
        verify(counter, "--fetch", *options, "--kds-ca-file", "ca.pem")
        amd, mirror = counter.addresses
        assert (amd.url, amd.ca_file, amd.proxy) == (BASE_URL, None, None)
        assert (mirror.url, mirror.ca_file) == ("https://m.example", Path("ca.pem"))
        assert mirror.proxy == "http://u:p@x.example:8080"


class TestNotToBeHad:
    """Where nothing comes, the answer is a refusal with its reason."""

    def test_a_chip_that_amd_does_not_know(self, counter: Counter) -> None:
        del counter.kds.offered[VCEK]
        code, answer = verify(counter, "--fetch")
        assert (code, answer["reason"]) == (1, "EndorsementsMissing")
        assert f"no {VCEK}: the key service does not have it" in counter.told

    def test_an_outage(self, counter: Counter) -> None:
        counter.kds.troubles = [Unavailable("the key service gave no answer")] * 9
        code, answer = verify(counter, "--fetch")
        assert (code, answer["reason"]) == (1, "EndorsementsMissing")
        assert "gave no answer" in counter.told

    def test_no_list(self, counter: Counter) -> None:
        del counter.kds.offered[LIST]
        code, answer = verify(counter, "--fetch")
        assert (code, answer["reason"]) == (1, "RevocationUnknown")

    def test_the_report_of_a_vlek(self, counter: Counter) -> None:
        report = simulated.report(MACHINE, key_info=SigningKey.VLEK << 2, chip_id=bytes(64))
        counter.write("report.bin", report)
        code, answer = verify(counter, "--fetch")
        assert (code, answer["reason"]) == (1, "EndorsementsMissing")
        assert "a VLEK signed it" in counter.told

    def test_a_masked_chip(self, counter: Counter) -> None:
        counter.write("report.bin", simulated.report(MACHINE, chip_id=bytes(64)))
        code, answer = verify(counter, "--fetch")
        assert (code, answer["reason"]) == (1, "EndorsementsMissing")
        assert "its chip is masked" in counter.told

    def test_what_is_no_report_is_not_asked_about(self, counter: Counter) -> None:
        counter.write("report.bin", b"?")
        assert verify(counter, "--fetch")[1]["reason"] == "ReportMalformed"
        assert counter.kds.asked == []

    def test_a_forged_report_is_not_asked_about_further(self, counter: Counter) -> None:
        forged = bytearray(REPORT)
        forged[0x90] ^= 1
        counter.write("report.bin", bytes(forged))
        assert verify(counter, "--fetch")[1]["reason"] == "SignatureInvalid"
        assert LIST not in counter.kds.asked


class TestHostileMirror:
    """A service that hands out other things: nothing of them is used or saved."""

    @pytest.mark.parametrize("name", [CHAIN, VCEK, LIST], ids=["chain", "VCEK", "list"])
    @pytest.mark.parametrize("data", [b"", b"<html>sign in</html>", b"\x30\x82" + bytes(900)])
    def test_rubbish(self, counter: Counter, name: VCEKName, data: bytes) -> None:
        counter.kds.offered[name] = data
        assert verify(counter, "--fetch", "--save", counter.directory / "saved")[0] == 1
        saved = [path.read_bytes() for path in (counter.directory / "saved").iterdir()]
        assert data not in saved

    def test_a_chain_of_its_own(self, counter: Counter) -> None:
        impostor = simulated.impostor(Product.MILAN)
        key = MACHINE.processor.vcek_key.public_key()
        forged = impostor.issue_vcek(key, MACHINE.chip_id, VCEK.tcb, NOW)
        counter.kds.offered |= {CHAIN: endorsing.chain(impostor), VCEK: forged}
        code, answer = verify(counter, "--fetch", "--save", counter.directory / "saved")
        assert (code, answer["reason"]) == (1, "EndorsementsMissing")
        assert "is not pinned" in counter.told
        assert list((counter.directory / "saved").iterdir()) == []

    def test_a_list_of_its_own(self, counter: Counter) -> None:
        counter.kds.offered[LIST] = simulated.impostor(Product.MILAN).issue_crl(NOW)
        assert verify(counter, "--fetch")[1]["reason"] == "RevocationUnknown"

    def test_a_list_that_revokes_counts(self, counter: Counter) -> None:
        authority = simulated.authority(Product.MILAN)
        serial = load_certificates([authority.ask])[0].serial
        counter.kds.offered[LIST] = authority.issue_crl(NOW, [serial])
        assert verify(counter, "--fetch")[1]["reason"] == "SignerRevoked"

    def test_the_vcek_of_another_chip(self, counter: Counter) -> None:
        other = simulated.machine(Product.MILAN, seed=1).processor.certificates[0]
        counter.kds.offered[VCEK] = other
        code, answer = verify(counter, "--fetch")
        assert (code, answer["reason"]) == (1, "EndorsementsMissing")
        assert "another VCEK than was asked for" in counter.told


class TestManners:
    """A service that wants to be left alone is left alone."""

    def test_waits_as_long_as_it_is_told(self, counter: Counter) -> None:
        counter.kds.troubles = [throttled(7.0)]
        assert verify(counter, "--fetch")[0] == 0
        assert counter.waited[0] == 10.0
        assert "waiting 10 s" in counter.told

    def test_a_longer_wait_is_kept(self, counter: Counter) -> None:
        counter.kds.troubles = [throttled(42.0)]
        assert verify(counter, "--fetch")[0] == 0
        assert counter.waited[0] == 42.0

    def test_gives_up_where_it_would_take_too_long(self, counter: Counter) -> None:
        counter.kds.troubles = [throttled(PATIENCE_SECONDS + 1)]
        code, answer = verify(counter, "--fetch")
        assert (code, answer["reason"]) == (1, "EndorsementsMissing")
        assert counter.waited == []
        assert len(counter.kds.asked) == 1
        assert "giving up" in counter.told

    def test_an_hour_of_429_is_not_waited_out(self, counter: Counter) -> None:
        counter.kds.troubles = [throttled(None)] * 1000
        assert verify(counter, "--fetch")[0] == 1
        assert sum(counter.waited) <= PATIENCE_SECONDS

    def test_no_address_of_a_proxy_is_told(self, counter: Counter) -> None:
        with pytest.raises(SystemExit, match="2"):
            verify(counter, "--fetch", "--kds-proxy", "ftp://user:secret@proxy.example")
        assert "secret" not in counter.capture.readouterr().err


def test_the_tcb_that_the_report_names_is_asked_for(counter: Counter) -> None:
    tcb = msgspec.structs.replace(MACHINE.processor.tcb, microcode=3)
    raw = encode_tcb(tcb, Product.MILAN)
    counter.write("report.bin", simulated.report(MACHINE, reported_tcb=raw))
    verify(counter, "--fetch")
    assert replace(VCEK, tcb=tcb) in counter.kds.asked
