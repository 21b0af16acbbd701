from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cases import endorsing
from cases.counter import Counter, FakeKDS
from fakes import simulated
from nodeproof.sevsnp.bits import SigningKey
from nodeproof.sevsnp.bundle import Bundle, decode, encode
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.collateral import classify
from nodeproof.sevsnp.kds import CAName, CRLName, vcek_names
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_operator.endorsements.errors import Throttled

NOW = simulated.NOW
MILAN, TURIN = simulated.machine(Product.MILAN), simulated.machine(Product.TURIN)


@pytest.fixture
def counter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Counter:
    """The command, and a key service that knows two machines."""
    return Counter(tmp_path, capsys, FakeKDS(endorsing.offers(MILAN, TURIN)))


def attestation(name: str, report: bytes, certificates: Sequence[bytes] = ()) -> dict[str, Any]:
    evidence = {
        "sequence": 1,
        "challenge": "",
        "bootID": "b",
        "report": base64.b64encode(report).decode(),
        "certificates": [base64.b64encode(each).decode() for each in certificates],
    }
    return {
        "apiVersion": "nodeproof.dev/v1alpha1",
        "kind": "NodeAttestation",
        "metadata": {"name": name, "uid": "u"},
        "spec": {"nodeName": name, "nodeUID": "u"},
        "status": {"evidence": evidence},
    }


def attested(name: str, machine: SimulatedMachine) -> dict[str, Any]:
    return attestation(name, machine.attest(bytes(64)), machine.processor.certificates)


def listed(*objects: dict[str, Any]) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}).encode()


def crl(product: Product) -> bytes:
    return simulated.authority(product).issue_crl(NOW)


def export(counter: Counter, *arguments: str | Path) -> tuple[int, list[tuple[str, str]]]:
    """Return the exit code, and kind and product of what is in the bundle."""
    file = counter.directory / "bundle"
    code, _ = counter.run("bundle", "export", *arguments, "--output", file)
    bundle = decode(file.read_bytes())
    items = [item for der in (*bundle.certificates, *bundle.crls) for item in classify(der)]
    return code, sorted((item.kind, str(item.product)) for item in items)


def chain_of(product: str, *more: str) -> list[tuple[str, str]]:
    return sorted((kind, product) for kind in ("ARK", "ASK", *more))


class TestExportOffline:
    """Bundles from what is at hand."""

    def test_of_a_clusters_evidence_and_a_list(self, counter: Counter) -> None:
        nodes = counter.write("nodes.json", listed(attested("a", MILAN), attested("b", TURIN)))
        lists = [counter.write(f"{each}.crl", crl(each)) for each in (Product.MILAN, Product.TURIN)]
        code, found = export(counter, "--from", nodes, *lists)
        assert code == 0
        both = chain_of("Milan", "VCEK", "CRL") + chain_of("Turin", "VCEK", "CRL")
        assert found == sorted(both)
        assert counter.addresses == []

    def test_of_one_object_as_well(self, counter: Counter) -> None:
        node = counter.write("node.json", json.dumps(attested("a", MILAN)).encode())
        code, found = export(counter, "--from", node)
        assert (code, found) == (1, chain_of("Milan", "VCEK"))
        assert "Milan: no revocation list in force" in counter.told

    def test_of_a_report_and_a_folder(self, counter: Counter) -> None:
        report = counter.write("report.bin", MILAN.attest(bytes(64)))
        counter.write("certs/all.pem", endorsing.pem(*MILAN.processor.certificates))
        counter.write("certs/list", crl(Product.MILAN))
        counter.write("certs/notes.txt", b"nothing of interest")
        code, found = export(counter, "--from", report, "--from", counter.directory / "certs")
        assert (code, found) == (0, chain_of("Milan", "VCEK", "CRL"))

    def test_of_a_vleks_evidence(self, counter: Counter) -> None:
        report = simulated.report(MILAN, key_info=SigningKey.VLEK << 2, chip_id=bytes(64))
        node = counter.write("node.json", listed(attestation("a", report)))
        code, _ = export(counter, "--from", node)
        assert code == 1
        assert "node a: no VLEK" in counter.told

    def test_says_which_vcek_is_missing(self, counter: Counter) -> None:
        node = counter.write("n.json", listed(attestation("a", MILAN.attest(bytes(64)))))
        code, found = export(counter, "--from", node)
        (name,) = vcek_names(MILAN.attest(bytes(64)))
        assert (code, found) == (1, [])
        assert f"node a: no {name}" in counter.told

    def test_nothing_goes_in_that_does_not_verify(self, counter: Counter) -> None:
        impostor = simulated.impostor(Product.MILAN)
        forged = impostor.issue_vcek(
            MILAN.processor.vcek_key.public_key(), MILAN.chip_id, MILAN.processor.tcb, NOW
        )
        values = [forged, *impostor.certificates(), impostor.issue_crl(NOW)]
        for number, value in enumerate(values):
            counter.write(f"certs/{number}", value)
        node = counter.write("n.json", listed(attestation("a", MILAN.attest(bytes(64)), values)))
        code, found = export(counter, "--from", node, counter.directory / "certs")
        assert (code, found) == (1, [])

    def test_passes_over_evidence_that_cannot_be_read(self, counter: Counter) -> None:
        objects = listed(attestation("odd", b"?"), attested("a", MILAN))
        nodes = counter.write("nodes.json", objects)
        _, found = export(counter, "--from", nodes, counter.write("l", crl(Product.MILAN)))
        assert found == chain_of("Milan", "VCEK", "CRL")
        assert "node odd: passed over" in counter.told

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"hello",
            b"{",
            b'{"kind": "Pod"}',
            b'{"kind": "PodList", "items": [{"kind": "Pod"}]}',
        ],
    )
    def test_refuses_other_files(self, counter: Counter, data: bytes) -> None:
        file = counter.write("file", data)
        output = counter.directory / "bundle"
        assert counter.run("bundle", "export", "--from", file, "--output", output) == (2, "")
        assert str(file) in counter.told
        assert not output.exists()

    @pytest.mark.parametrize(
        "arguments",
        [[], ["--fetch"], ["--product", "Rome"], ["--product", "Milan", "--kds-url", "x"]],
    )
    def test_wrong_usage(self, counter: Counter, arguments: list[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            counter.run("bundle", "export", *arguments, "--output", "bundle")


class TestExportFetching:
    """Bundles from AMD's key service."""

    def test_of_a_product(self, counter: Counter) -> None:
        code, found = export(counter, "--product", "Genoa", "--fetch")
        assert (code, found) == (0, chain_of("Genoa", "ASVK", "CRL"))

    def test_of_a_report_what_is_missing(self, counter: Counter) -> None:
        report = counter.write("report.bin", TURIN.attest(bytes(64)))
        code, found = export(counter, "--from", report, "--fetch")
        assert (code, found) == (0, chain_of("Turin", "VCEK", "CRL"))
        (vcek,) = vcek_names(TURIN.attest(bytes(64)))
        assert counter.kds.asked == [
            CAName(Product.TURIN, Role.ASK),
            vcek,
            CRLName(Product.TURIN, Role.ASK),
        ]

    def test_what_is_at_hand_is_not_asked_for_but_the_list_is(self, counter: Counter) -> None:
        nodes = counter.write("nodes.json", listed(attested("a", MILAN)))
        old = counter.write("l", simulated.authority(Product.MILAN).issue_crl(NOW - timedelta(5)))
        code, found = export(counter, "--from", nodes, old, "--fetch")
        assert code == 0
        assert counter.kds.asked == [CRLName(Product.MILAN, Role.ASK)]
        assert found.count(("CRL", "Milan")) == 2

    def test_many_vceks_are_asked_for_slowly(self, counter: Counter) -> None:
        machines = [simulated.machine(Product.MILAN, seed=seed) for seed in range(4)]
        counter.kds.offered = endorsing.offers(*machines)
        objects = [attestation(f"n{n}", each.attest(bytes(64))) for n, each in enumerate(machines)]
        nodes = counter.write("nodes.json", listed(*objects))
        code, found = export(counter, "--from", nodes, "--fetch")
        assert code == 0
        assert found.count(("VCEK", "Milan")) == 4
        assert sum(counter.waited) >= 10 * (len(counter.kds.asked) - 3)
        assert "node n3 (4 of 4)" in counter.told

    def test_what_is_not_to_be_had_is_said_and_the_rest_written(self, counter: Counter) -> None:
        objects = [
            attestation("new", simulated.machine(Product.MILAN, seed=9).attest(bytes(64))),
            attestation("a", MILAN.attest(bytes(64))),
        ]
        nodes = counter.write("nodes.json", listed(*objects))
        code, found = export(counter, "--from", nodes, "--fetch")
        assert (code, found) == (1, chain_of("Milan", "VCEK", "CRL"))
        assert "node new: no VCEK of Milan chip" in counter.told

    def test_what_nodes_wait_for(self, counter: Counter) -> None:
        (vcek,) = vcek_names(TURIN.attest(bytes(64)))
        waiting = attested("new", MILAN)
        waiting["status"] = {
            "deferral": {
                "time": "2026-03-01T11:00:00Z",
                "reason": "EndorsementsUnavailable",
                "message": "no VCEK is at hand",
                "expected": f"ASK and ARK of Turin, {vcek}",
            }
        }
        nodes = counter.write("nodes.json", listed(waiting))
        assert export(counter, "--from", nodes) == (1, [])
        assert f"node new: no {vcek}" in counter.told
        code, found = export(counter, "--from", nodes, "--fetch")
        assert (code, found) == (0, chain_of("Turin", "VCEK", "CRL"))

    def test_a_service_that_blocks_is_asked_for_nothing_more(self, counter: Counter) -> None:
        counter.kds.troubles = [Throttled("too often", retry_after_seconds=3600.0)]
        code, found = export(counter, "--product", "Milan", "--product", "Genoa", "--fetch")
        assert (code, found) == (1, [])
        assert len(counter.kds.asked) == 1


@pytest.fixture
def bundle() -> Bundle:
    certificates = (
        *MILAN.processor.certificates,
        endorsing.asvk(Product.MILAN),
        endorsing.vlek(Product.MILAN),
    )
    return Bundle(NOW, certificates, (crl(Product.MILAN),))


@pytest.fixture
def forged(bundle: Bundle) -> Bundle:
    impostor = simulated.impostor(Product.MILAN)
    key = MILAN.processor.vcek_key.public_key()
    vcek = impostor.issue_vcek(key, MILAN.chip_id, MILAN.processor.tcb, NOW)
    return replace(bundle, certificates=(*bundle.certificates, vcek))


class TestShow:
    """What is in a bundle."""

    def test_a_table(self, counter: Counter, bundle: Bundle) -> None:
        code, out = counter.run("bundle", "show", counter.write("b", encode(bundle)))
        lines = out.splitlines()
        assert code == 0
        assert lines[0] == f"bundle {bundle.identity} of 2026-03-01T12:00:00Z, 6 entries"
        assert lines[2].split() == [
            *("KIND", "PRODUCT", "CHIP", "TCB", "FROM", "UNTIL", "SHA-256", "VERIFIES"),
        ]
        assert [line.split()[0] for line in lines[3:9]] == [
            *("VCEK", "ASK", "ARK", "ASVK", "VLEK", "CRL"),
        ]
        assert MILAN.chip_id.hex()[:16] in lines[3]
        assert "bootloader=4 tee=0 snp=27 microcode=222" in lines[3]
        assert all(line.endswith("yes") for line in lines[3:9])
        assert lines[-1].startswith("Everything chains")

    def test_json(self, counter: Counter, bundle: Bundle) -> None:
        file = counter.write("b", encode(bundle))
        code, out = counter.run("bundle", "show", file, "--output", "json")
        shown = json.loads(out)
        assert code == 0
        assert shown["identity"] == bundle.identity
        assert [entry["verifies"] for entry in shown["entries"]] == [True] * 6

    def test_what_does_not_verify(self, counter: Counter, forged: Bundle) -> None:
        code, out = counter.run("bundle", "show", counter.write("b", encode(forged)))
        assert code == 1
        assert "1 of 7 do not verify:" in out
        assert "ChainInvalid, the signature on the VCEK certificate is wrong" in out

    def test_nothing_verifies_under_amds_roots(self, counter: Counter, bundle: Bundle) -> None:
        from nodeproof_cli.__main__ import main  # noqa: PLC0415 - with the roots it has by itself

        file = counter.write("b", encode(bundle))
        assert main(["bundle", "show", str(file)]) == 1
        assert "6 of 6 do not verify" in counter.capture.readouterr().out

    @pytest.mark.parametrize("data", [b"", b"{}", b"\x00" * 10])
    def test_other_files(self, counter: Counter, data: bytes) -> None:
        assert counter.run("bundle", "show", counter.write("b", data)) == (2, "")
        assert "bundle" in counter.told

    def test_a_file_that_is_not_there(self, counter: Counter) -> None:
        assert counter.run("bundle", "show", counter.directory / "nowhere") == (2, "")


class TestImport:
    """A bundle for kubectl."""

    def test_as_labelled_config_maps(self, counter: Counter, bundle: Bundle) -> None:
        file = counter.write("b", encode(bundle))
        code, out = counter.run("bundle", "import", file, "--namespace", "attesting")
        printed = json.loads(out)
        assert code == 0
        assert (printed["apiVersion"], printed["kind"]) == ("v1", "List")
        (found,) = printed["items"]
        assert found["metadata"]["namespace"] == "attesting"
        assert found["metadata"]["labels"]["nodeproof.dev/endorsements"] == "true"
        values = {base64.b64decode(each) for each in found["binaryData"].values()}
        assert values == {*bundle.certificates, *bundle.crls}

    def test_into_the_operators_namespace(self, counter: Counter, bundle: Bundle) -> None:
        _, out = counter.run("bundle", "import", counter.write("b", encode(bundle)))
        assert json.loads(out)["items"][0]["metadata"]["namespace"] == "nodeproof-system"

    def test_nothing_where_an_entry_does_not_verify(self, counter: Counter, forged: Bundle) -> None:
        assert counter.run("bundle", "import", counter.write("b", encode(forged))) == (1, "")
        assert "refused: VCEK of Milan" in counter.told

    def test_nothing_where_the_list_has_ended(self, counter: Counter, bundle: Bundle) -> None:
        ended = simulated.authority(Product.MILAN).issue_crl(NOW - timedelta(days=400))
        file = counter.write("b", encode(replace(bundle, crls=(ended,))))
        assert counter.run("bundle", "import", file) == (1, "")
        assert "RevocationUnknown" in counter.told

    @pytest.mark.parametrize("name", ["", "A", "a/b", "a\n", "-", "a" * 64])
    def test_refuses_what_cannot_be_a_namespace(
        self, counter: Counter, bundle: Bundle, name: str
    ) -> None:
        file = counter.write("b", encode(bundle))
        with pytest.raises(SystemExit, match="2"):
            counter.run("bundle", "import", file, "--namespace", name)


@pytest.mark.parametrize("action", [[], ["export"], ["show"], ["import"]])
def test_help_shows_an_example(counter: Counter, action: list[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        counter.run("bundle", *action, "--help")
    out = counter.capture.readouterr().out
    assert "example" in out
    assert "nodeproof bundle" in out


def test_help_of_the_bundle_shows_the_way_across_an_air_gap(counter: Counter) -> None:
    with pytest.raises(SystemExit, match="0"):
        counter.run("bundle", "--help")
    out = counter.capture.readouterr().out
    assert "kubectl get nodeattestations -o json" in out
    assert "kubectl apply -f -" in out
