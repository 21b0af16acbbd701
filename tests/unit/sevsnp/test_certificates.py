from __future__ import annotations

import ssl
from contextlib import suppress
from random import Random

import pytest
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from nodeproof.errors import CertificateMalformed
from nodeproof.sevsnp.certificates import MAX_CERTIFICATES, Role, load_certificates
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import simulated_anchor
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine


def test_tells_what_each_certificate_is_for(machine: SimulatedMachine) -> None:
    loaded = load_certificates(machine.processor.certificates)
    assert [each.role for each in loaded] == [Role.VCEK, Role.ASK, Role.ARK]
    assert {each.product for each in loaded} == {Product.MILAN}


def test_reads_der_and_pem_alike(authority: SimulatedAuthority) -> None:
    pem = authority.ask
    assert load_certificates([pem])[0].der == ssl.PEM_cert_to_DER_cert(pem.decode())


def test_reads_several_certificates_from_one_pem(authority: SimulatedAuthority) -> None:
    loaded = load_certificates([authority.ask + authority.ark])
    assert [each.role for each in loaded] == [Role.ASK, Role.ARK]


def test_takes_a_certificate_once(machine: SimulatedMachine) -> None:
    assert len(load_certificates(machine.processor.certificates * 3)) == 3


def test_the_same_bytes_are_read_once(machine: SimulatedMachine) -> None:
    vcek = machine.processor.certificates[0]
    copy = bytes(bytearray(vcek))
    assert load_certificates([copy])[0] is load_certificates([vcek])[0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing",
        b"\x30\x00",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_refuses_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(CertificateMalformed, match="cannot be read"):
        load_certificates([data])


def test_refuses_bytes_behind_a_certificate(machine: SimulatedMachine) -> None:
    with pytest.raises(CertificateMalformed, match="cannot be read"):
        load_certificates([machine.processor.certificates[0] + b"\x00"])


def test_refuses_a_certificate_that_is_too_large() -> None:
    with pytest.raises(CertificateMalformed, match="larger"):
        load_certificates([bytes(16 * 1024 + 1)])


def test_refuses_too_many_certificates(machine: SimulatedMachine) -> None:
    vcek = machine.processor.certificates[0]
    assert load_certificates([vcek] * MAX_CERTIFICATES)
    with pytest.raises(CertificateMalformed, match="at most 32"):
        load_certificates([vcek] * (MAX_CERTIFICATES + 1))


def test_the_library_still_accepts_serial_number_0(machine: SimulatedMachine) -> None:
    # Every VEK of AMD's has it. When this fails, cryptography has changed: the filters in
    # certificates.py and pyproject.toml, and the pinned version, must be looked at again.
    with pytest.warns(CryptographyDeprecationWarning) as caught:
        vcek = x509.load_der_x509_certificate(machine.processor.certificates[0])
    assert "Parsed a serial number which wasn't positive" in str(caught[0].message)
    assert vcek.serial_number == 0


@pytest.mark.parametrize("number", range(3))
def test_recognises_by_bytes_just_what_the_library_reads(
    machine: SimulatedMachine, number: int
) -> None:
    der = load_certificates(machine.processor.certificates)[number].der
    random = Random(number)  # noqa: S311 - which bits are flipped, not a secret
    recognised = 0
    for bit in random.sample(range(8 * len(der)), 1000):
        changed = bytearray(der)
        changed[bit // 8] ^= 1 << bit % 8
        with suppress(CertificateMalformed):
            for loaded in load_certificates([bytes(changed)]):
                recognised += 1
                parsed = x509.load_der_x509_certificate(loaded.der)
                assert (loaded.subject, loaded.issuer) == (parsed.subject, parsed.issuer)
                assert loaded.signed == parsed.tbs_certificate_bytes
                assert loaded.algorithm.parameters == parsed.signature_algorithm_parameters
    assert recognised


def test_a_simulated_root_becomes_an_anchor(authority: SimulatedAuthority) -> None:
    anchor = simulated_anchor(authority.ark)
    assert anchor == authority.anchor()
    assert anchor.simulated
    assert anchor.product is Product.MILAN


def test_only_a_root_becomes_an_anchor(authority: SimulatedAuthority) -> None:
    with pytest.raises(CertificateMalformed, match="expected one ARK certificate, observed ASK"):
        simulated_anchor(authority.ask)
