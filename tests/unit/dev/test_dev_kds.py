"""The stand-in for AMD's KDS answers as the original does, and fails as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import urllib3
from cryptography import x509
from urllib3.exceptions import ProtocolError, ReadTimeoutError, SSLError

from fakes import simulated
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.kds import CAName, CRLName, path_of, vcek_names
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_dev import kds_faults as faults
from nodeproof_dev.kds import KDSStandIn
from nodeproof_dev.kds_shelf import Kind, Shelf

CHAIN, CRL = "/vcek/v1/Milan/cert_chain", "/vcek/v1/Milan/crl"


@pytest.fixture(scope="module")
def milan() -> SimulatedMachine:
    return simulated.machine(Product.MILAN)


@pytest.fixture(scope="module")
def turin() -> SimulatedMachine:
    return simulated.machine(Product.TURIN)


@pytest.fixture
def kds(tmp_path: Path, milan: SimulatedMachine, turin: SimulatedMachine) -> Iterator[KDSStandIn]:
    shelf = Shelf(simulated.authority(), now=simulated.NOW)
    shelf.put_vceks([milan, turin])
    with KDSStandIn(tmp_path, shelf) as standin:
        yield standin


@pytest.fixture
def pool(kds: KDSStandIn) -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(ca_certs=str(kds.ca_file), retries=False, timeout=10) as trusting:
        yield trusting


@pytest.fixture
def get(kds: KDSStandIn, pool: urllib3.PoolManager) -> Get:
    return Get(kds, pool)


@pytest.fixture
def vcek(milan: SimulatedMachine) -> str:
    """The URL of the Milan machine's VCEK."""
    return f"/vcek/v1/Milan/{milan.chip_id.hex()}?blSPL=4&teeSPL=0&snpSPL=27&ucodeSPL=222"


@pytest.fixture
def turin_vcek(turin: SimulatedMachine) -> str:
    """The URL of the Turin machine's VCEK."""
    hw_id = turin.chip_id[:8].hex()
    return f"/vcek/v1/Turin/{hw_id}?fmcSPL=1&blSPL=1&teeSPL=1&snpSPL=4&ucodeSPL=81"


class Get:
    """Asks the stand-in."""

    def __init__(self, kds: KDSStandIn, pool: urllib3.PoolManager) -> None:
        self._kds, self._pool = kds, pool

    def __call__(self, target: str, timeout: float = 10) -> urllib3.BaseHTTPResponse:
        return self._pool.request("GET", self._kds.url + target, timeout=timeout, redirect=False)


def test_hands_out_a_vcek_as_der(get: Get, milan: SimulatedMachine, vcek: str) -> None:
    answer = get(vcek)
    assert (answer.status, answer.data) == (200, milan.processor.certificates[0])
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment; filename=vcek.crt"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-cache", "no-cache")


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("teeSPL=0&", ""),
        ("blSPL=4", "blSPL=04"),
        ("blSPL=4&teeSPL=0&snpSPL=27&ucodeSPL=222", "ucodeSPL=222&snpSPL=27&teeSPL=0&blSPL=4"),
    ],
)
def test_takes_every_spelling_that_amd_takes(
    get: Get, milan: SimulatedMachine, vcek: str, usual: str, other: str
) -> None:
    assert usual in vcek
    assert get(vcek.replace(usual, other)).data == milan.processor.certificates[0]


def test_takes_a_chip_in_capital_letters(get: Get, milan: SimulatedMachine, vcek: str) -> None:
    capital = vcek.replace(milan.chip_id.hex(), milan.chip_id.hex().upper())
    assert get(capital).data == milan.processor.certificates[0]


def test_turins_chip_has_eight_bytes(get: Get, turin: SimulatedMachine, turin_vcek: str) -> None:
    assert get(turin_vcek).data == turin.processor.certificates[0]
    whole = turin_vcek.replace(turin.chip_id[:8].hex(), turin.chip_id.hex())
    assert get(whole).status == 404


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("snpSPL=27", "snpSPL=28"),
        ("snpSPL=27", "snpSPL=x"),
        ("snpSPL=27", "snpSPL=283"),
        ("Milan", "Genoa"),
        ("Milan", "Naples"),
        ("vcek", "vlek"),
    ],
)
def test_knows_no_vcek_that_it_was_not_told(get: Get, vcek: str, usual: str, other: str) -> None:
    assert get(vcek).status == 200
    assert get(vcek.replace(usual, other)).status == 404


def test_turins_fmc_counts(get: Get, turin_vcek: str) -> None:
    assert get(turin_vcek.replace("fmcSPL=1&", "")).status == 404


def test_serves_what_the_verifier_asks_for(
    get: Get, milan: SimulatedMachine, turin: SimulatedMachine
) -> None:
    for machine in (milan, turin):
        (name,) = vcek_names(machine.attest(bytes(64)))
        assert get(path_of(name)).data == machine.processor.certificates[0]
    for make in (CAName, CRLName):
        assert get(path_of(make(Product.MILAN, Role.ASK))).status == 200


@pytest.mark.parametrize(
    "target",
    [CHAIN.replace("Milan", "Genoa"), CHAIN.replace("vcek", "vlek"), CRL.lower(), "/"],
)
def test_has_nothing_else(get: Get, target: str) -> None:
    assert get(target).status == 404


def test_hands_out_the_chain_as_pem_with_the_intermediate_first(get: Get) -> None:
    names = [
        each.subject.rfc4514_string().partition(",")[0]
        for each in x509.load_pem_x509_certificates(get(CHAIN).data)
    ]
    assert names == ["CN=SEV-Milan", "CN=ARK-Milan"]


@pytest.mark.parametrize("target", [CRL, CRL.replace("vcek", "vlek")])
def test_hands_out_the_revocation_list_as_der(get: Get, target: str) -> None:
    crl = x509.load_der_x509_crl(get(target).data)
    assert (crl.issuer.rfc4514_string().partition(",")[0], len(crl)) == ("CN=ARK-Milan", 0)


def test_hands_out_the_newest_list_that_it_was_given(get: Get, kds: KDSStandIn) -> None:
    kds.shelf.put_crl(Product.MILAN, simulated.authority().issue_crl(simulated.NOW, [7]))
    assert [each.serial_number for each in x509.load_der_x509_crl(get(CRL).data)] == [7]


def test_remembers_every_request_in_order(get: Get, kds: KDSStandIn, vcek: str) -> None:
    for target in (CHAIN, vcek, CRL, "/favicon.ico", vcek):
        get(target)
    assert [each.target for each in kds.requests] == [CHAIN, vcek, CRL, "/favicon.ico", vcek]
    assert [kds.count(kind) for kind in Kind] == [2, 1, 1, 1]
    times = [each.time for each in kds.requests]
    assert times == sorted(times)


def test_nobody_is_served_who_does_not_trust_its_authority(kds: KDSStandIn) -> None:
    with urllib3.PoolManager(retries=False) as suspicious, pytest.raises(SSLError):
        suspicious.request("GET", kds.url + CHAIN)
    assert kds.requests == ()


def test_its_key_is_for_its_owner_alone(kds: KDSStandIn) -> None:
    assert (kds.ca_file.parent / "kds.pem").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in kds.ca_file.read_text()


def test_hangs_until_it_is_released(get: Get, kds: KDSStandIn, vcek: str) -> None:
    kds.fail(faults.Hang())
    with pytest.raises(ReadTimeoutError):
        get(vcek, timeout=0.05)
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(get(vcek).status))
    waiting.start()
    while kds.count(Kind.VCEK) < 2:
        waiting.join(0.01)
    assert waiting.is_alive()
    kds.recover()
    waiting.join()
    assert answers == [200]


def test_others_are_answered_while_one_waits(get: Get, kds: KDSStandIn, vcek: str) -> None:
    kds.fail(faults.Hang(), Kind.VCEK)
    with pytest.raises(ReadTimeoutError):
        get(vcek, timeout=0.05)
    assert get(CHAIN).status == 200


@pytest.mark.parametrize("retry_after", ["", "3600"])
def test_throttles_until_told_otherwise(
    get: Get, kds: KDSStandIn, retry_after: str, vcek: str
) -> None:
    kds.fail(faults.throttle(retry_after))
    for _ in range(2):
        answer = get(vcek)
        assert (answer.status, answer.headers.get("Retry-After", "")) == (429, retry_after)
    kds.recover()
    assert get(vcek).status == 200


@pytest.mark.parametrize("code", [HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_FOUND])
def test_answers_with_a_status_alone(
    get: Get, kds: KDSStandIn, code: HTTPStatus, vcek: str
) -> None:
    kds.fail(faults.status(code))
    assert get(vcek).status == code


def test_sends_everybody_elsewhere(get: Get, kds: KDSStandIn, vcek: str) -> None:
    kds.fail(faults.redirect("https://elsewhere.invalid/"))
    answer = get(vcek)
    assert (answer.status, answer.headers["Location"]) == (302, "https://elsewhere.invalid/")


@pytest.mark.parametrize("stated", [True, False])
def test_floods_whoever_reads(kds: KDSStandIn, pool: urllib3.PoolManager, *, stated: bool) -> None:
    kds.fail(faults.flood(stated=stated))
    answer = pool.request("GET", kds.url + CRL, preload_content=False)
    assert answer.headers.get("Content-Length") == (str(faults.GIGABYTE) if stated else None)
    assert answer.read(1 << 20) == bytes(1 << 20)
    answer.close()


def test_a_client_that_leaves_in_the_middle_harms_nobody(
    get: Get, kds: KDSStandIn, pool: urllib3.PoolManager, vcek: str
) -> None:
    kds.fail(faults.flood(stated=False), Kind.CRL)
    pool.request("GET", kds.url + CRL, preload_content=False).close()
    assert get(vcek).status == 200


def test_hangs_up_in_the_middle(get: Get, kds: KDSStandIn, vcek: str) -> None:
    kds.fail(faults.truncate)
    with pytest.raises(ProtocolError, match=r"bytes read, \d+ more expected"):
        get(vcek)


def test_lies_about_one_kind_of_file_only(get: Get, kds: KDSStandIn, vcek: str) -> None:
    other = simulated.machine(seed=1).processor.certificates[0]
    kds.fail(faults.substitute(other), Kind.VCEK)
    assert get(vcek).data == other
    assert get(CHAIN).data.startswith(b"-----BEGIN CERTIFICATE-----")


def test_becomes_a_hostile_mirror_with_another_authoritys_files(get: Get, kds: KDSStandIn) -> None:
    honest = get(CHAIN).data
    kds.shelf = Shelf(simulated.impostor(), now=simulated.NOW)
    assert b"CERTIFICATE" in get(CHAIN).data
    assert get(CHAIN).data != honest
