from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from fakes import simulated
from nodeproof.errors import CertificateMalformed, ChainInvalid, EndorsementsMissing, RootUntrusted
from nodeproof.sevsnp.certificates import Certificate, Role, load_certificates
from nodeproof.sevsnp.chain import Chain, first_chain
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.profile import check_profile
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.simulator.issuing import Signer, issue_ca

NOW = simulated.NOW


def chain(*certificates: bytes, now: datetime = NOW) -> Chain:
    """Build the chain of the first certificate through the others, to the known authority."""
    pool = load_certificates(certificates)
    return first_chain(
        pool[0], pool, [simulated.authority().anchor()], now, judge=lambda found: found
    )


@pytest.fixture(scope="session")
def vcek(machine: SimulatedMachine) -> bytes:
    return machine.processor.certificates[0]


def test_ends_in_the_pinned_root(authority: SimulatedAuthority, vcek: bytes) -> None:
    built = chain(vcek, authority.ask, authority.ark)
    assert built.anchor == authority.anchor()
    assert [built.vek.role, built.intermediate.role, built.root.role] == ["VCEK", "ASK", "ARK"]


@pytest.mark.parametrize("name", ["ask", "ark"])
def test_says_what_is_missing(authority: SimulatedAuthority, vcek: bytes, name: str) -> None:
    only = getattr(authority, name)
    with pytest.raises(EndorsementsMissing, match=f"SEV-Milan and ARK-Milan.*{name.upper()}"):
        chain(vcek, only)


def test_refuses_a_self_made_chain(impostor: SimulatedAuthority, machine: SimulatedMachine) -> None:
    key = machine.processor.vcek_key.public_key()
    forged = impostor.issue_vcek(key, machine.chip_id, machine.processor.tcb, NOW)
    with pytest.raises(RootUntrusted) as caught:
        chain(forged, impostor.ask, impostor.ark)
    assert caught.value.expected == simulated.authority().anchor().public_key_sha256
    assert caught.value.observed == impostor.anchor().public_key_sha256


def test_refuses_a_vcek_of_a_self_made_ask(
    authority: SimulatedAuthority, impostor: SimulatedAuthority, machine: SimulatedMachine
) -> None:
    key = machine.processor.vcek_key.public_key()
    forged = impostor.issue_vcek(key, machine.chip_id, machine.processor.tcb, NOW)
    with pytest.raises(ChainInvalid, match="VCEK"):
        chain(forged, authority.ask, authority.ark)


def test_refuses_a_self_made_ask(
    authority: SimulatedAuthority, impostor: SimulatedAuthority, vcek: bytes
) -> None:
    with pytest.raises(ChainInvalid, match="signature on the ASK"):
        chain(vcek, impostor.ask, authority.ark)


def test_a_self_made_ask_beside_the_real_one_does_no_harm(
    authority: SimulatedAuthority, impostor: SimulatedAuthority, vcek: bytes
) -> None:
    built = chain(vcek, impostor.ask, impostor.ark, authority.ark, authority.ask)
    assert built.anchor == authority.anchor()


def test_a_pinned_key_counts_for_its_own_product_only(
    authority: SimulatedAuthority, vcek: bytes
) -> None:
    pool = load_certificates([vcek, authority.ask, authority.ark])
    anchor = replace(authority.anchor(), product=Product.GENOA)
    with pytest.raises(RootUntrusted, match="no root at all"):
        first_chain(pool[0], pool, [anchor], NOW, judge=lambda found: found)


@pytest.mark.parametrize(
    ("now", "role"),
    [
        (NOW - timedelta(days=2), "ARK"),
        (NOW + timedelta(days=7 * 365), "VCEK"),
        (NOW + timedelta(days=25 * 365), "ARK"),
    ],
)
def test_refuses_certificates_out_of_their_time(
    authority: SimulatedAuthority, vcek: bytes, now: datetime, role: str
) -> None:
    chain(vcek, authority.ask, authority.ark)
    with pytest.raises(ChainInvalid, match=f"the {role} certificate is not in force"):
        chain(vcek, authority.ask, authority.ark, now=now)


def test_refuses_a_vcek_before_its_time(
    authority: SimulatedAuthority, machine: SimulatedMachine
) -> None:
    key, later = machine.processor.vcek_key.public_key(), NOW + timedelta(days=30)
    early = authority.issue_vcek(key, machine.chip_id, machine.processor.tcb, later)
    with pytest.raises(ChainInvalid, match="the VCEK certificate is not in force"):
        chain(early, authority.ask, authority.ark)


def test_an_asvk_signs_no_vcek(authority: SimulatedAuthority, vcek: bytes) -> None:
    signer = Signer(Product.MILAN, authority.ark_key, NOW)
    asvk = issue_ca(Role.ASVK, authority.ask_key.public_key(), signer)
    with pytest.raises(EndorsementsMissing):
        chain(vcek, asvk.public_bytes(Encoding.DER), authority.ark)


class TestProfile:
    """Certificates whose signatures are good, but which are not as AMD makes them."""

    def template(
        self, authority: SimulatedAuthority, subject: x509.Name | None = None
    ) -> x509.CertificateBuilder:
        """Return a builder for an ASK without extensions."""
        ask = load_certificates([authority.ask])[0]
        return (
            x509.CertificateBuilder()
            .subject_name(subject or ask.subject)
            .issuer_name(ask.issuer)
            .serial_number(1)
            .not_valid_before(ask.not_before)
            .not_valid_after(ask.not_after)
            .public_key(authority.ask_key.public_key())
        )

    def sign(
        self,
        builder: x509.CertificateBuilder,
        authority: SimulatedAuthority,
        padding: PSS | PKCS1v15 | None = None,
    ) -> Certificate:
        padding = padding or PSS(MGF1(SHA384()), 48)
        signed = builder.sign(authority.ark_key, SHA384(), rsa_padding=padding)
        return load_certificates([signed.public_bytes(Encoding.DER)])[0]

    def test_the_simulated_certificates_have_it(self, machine: SimulatedMachine) -> None:
        for certificate in load_certificates(machine.processor.certificates):
            check_profile(certificate)

    def test_refuses_an_ask_that_is_no_ca(self, authority: SimulatedAuthority) -> None:
        with pytest.raises(ChainInvalid, match="basicConstraints"):
            check_profile(self.sign(self.template(authority), authority))

    def test_refuses_an_ask_that_may_have_others_below(self, authority: SimulatedAuthority) -> None:
        constraints = x509.BasicConstraints(ca=True, path_length=1)
        builder = self.template(authority).add_extension(constraints, critical=True)
        with pytest.raises(ChainInvalid, match="basicConstraints"):
            check_profile(self.sign(builder, authority))

    def test_refuses_an_ask_without_key_usage(self, authority: SimulatedAuthority) -> None:
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = self.template(authority).add_extension(constraints, critical=True)
        with pytest.raises(ChainInvalid, match="keyUsage"):
            check_profile(self.sign(builder, authority))

    def test_refuses_a_critical_extension_that_it_does_not_know(
        self, authority: SimulatedAuthority
    ) -> None:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        builder = self.template(authority).add_extension(unknown, critical=True)
        with pytest.raises(ChainInvalid, match=r"critical extension.*1\.2\.3\.4"):
            check_profile(self.sign(builder, authority))

    def test_refuses_a_short_rsa_key(self, authority: SimulatedAuthority) -> None:
        signer = Signer(Product.MILAN, authority.ark_key, NOW)
        weak_key = generate_private_key(public_exponent=65537, key_size=2048)
        weak = issue_ca(Role.ASK, weak_key.public_key(), signer)
        with pytest.raises(ChainInvalid, match="observed RSA 2048"):
            check_profile(load_certificates([weak.public_bytes(Encoding.DER)])[0])

    @pytest.mark.parametrize(
        "padding", [PKCS1v15(), PSS(MGF1(SHA384()), 32), PSS(MGF1(SHA256()), 48)], ids=repr
    )
    def test_refuses_another_signature_algorithm(
        self, authority: SimulatedAuthority, padding: PSS | PKCS1v15
    ) -> None:
        with pytest.raises(ChainInvalid, match="signature algorithm"):
            check_profile(self.sign(self.template(authority), authority, padding))

    @pytest.mark.parametrize(
        ("offset", "value"),
        [pytest.param(-513, 1, id="unused bits"), pytest.param(-518, 32, id="salt length")],
    )
    def test_refuses_other_bytes_around_the_signed_ones(
        self, authority: SimulatedAuthority, offset: int, value: int
    ) -> None:
        changed = bytearray(load_certificates([authority.ask])[0].der)
        changed[offset] = value
        with pytest.raises((ChainInvalid, CertificateMalformed)):
            check_profile(load_certificates([bytes(changed)])[0])

    def test_takes_a_name_in_another_encoding_for_the_same(
        self, authority: SimulatedAuthority
    ) -> None:
        ask = load_certificates([authority.ask])[0].der
        printable = ask.replace(b"\x0c\x09SEV-Milan", b"\x13\x09SEV-Milan")
        assert printable != ask
        check_profile(load_certificates([printable])[0])

    def test_refuses_a_name_in_another_order(self, authority: SimulatedAuthority) -> None:
        name = x509.Name(reversed(list(load_certificates([authority.ask])[0].subject)))
        with pytest.raises(ChainInvalid, match="subject of the ASK certificate is not AMD's"):
            check_profile(self.sign(self.template(authority, subject=name), authority))

    def test_refuses_a_name_that_is_not_amds(self, authority: SimulatedAuthority) -> None:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "SEV-Milan")])
        with pytest.raises(ChainInvalid, match="subject of the ASK certificate is not AMD's"):
            check_profile(self.sign(self.template(authority, subject=name), authority))
