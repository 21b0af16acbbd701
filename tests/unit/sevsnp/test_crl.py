from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from cases.verifying import check
from fakes import simulated
from nodeproof.errors import RevocationUnknown, SignatureInvalid, SignerRevoked
from nodeproof.sevsnp.certificates import Role, load_certificates
from nodeproof.sevsnp.crl import MAX_CRL_SIZE, Revocation, load_crl
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.profile import signature_padding
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.simulator.issuing import CRL_LIFE, Signer, issue_ca
from nodeproof.sevsnp.verify import VerifiedReport

NOW = simulated.NOW
DAY = timedelta(days=1)
UNKNOWN_OID = x509.ObjectIdentifier("1.3.6.1.4.1.3704.9")

Verify = Callable[..., VerifiedReport]


@pytest.fixture
def verify(machine: SimulatedMachine) -> Verify:
    """Verify the machine's report with some lists, of which one must be usable."""

    def verify(
        *crls: bytes,
        now: datetime = NOW,
        required: bool = True,
        maximum_age: timedelta | None = None,
    ) -> VerifiedReport:
        return check(
            machine.attest(bytes(64)),
            machine.processor.certificates,
            now=now,
            revocation=Revocation(crls, required=required, maximum_age=maximum_age),
        )

    return verify


@pytest.fixture(scope="session")
def crl(authority: SimulatedAuthority) -> bytes:
    return authority.issue_crl(NOW)


def serial(certificate: bytes) -> int:
    return load_certificates([certificate])[0].serial


def listing(
    authority: SimulatedAuthority,
    *extensions: tuple[x509.ExtensionType, bool],
    entries: Sequence[x509.RevokedCertificate] = (),
    padding: PKCS1v15 | None = None,
) -> bytes:
    """Return a list with these extensions and entries."""
    issuer = x509.load_pem_x509_certificate(authority.ark).subject
    builder = x509.CertificateRevocationListBuilder(issuer, NOW - DAY, NOW + DAY, [], [*entries])
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    crl = builder.sign(authority.ark_key, SHA384(), rsa_padding=padding or signature_padding())
    return crl.public_bytes(Encoding.DER)


class TestAccepted:
    """Lists that tell that nothing of the chain is revoked."""

    def test_the_claims_name_the_list(self, verify: Verify, crl: bytes) -> None:
        used = verify(crl).crl
        assert used is not None
        assert used.der == crl
        assert used.this_update == NOW - DAY

    def test_a_list_may_be_pem(self, verify: Verify, crl: bytes) -> None:
        pem = x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)
        used = verify(pem).crl
        assert used is not None
        assert used.der == crl

    def test_the_revocation_of_others_is_none_of_ours(
        self, verify: Verify, authority: SimulatedAuthority
    ) -> None:
        # Serial number 0 is every VEK's: it tells nothing about this one.
        assert verify(authority.issue_crl(NOW, [0, 7])).crl is not None

    def test_the_newest_usable_list_counts(
        self, verify: Verify, authority: SimulatedAuthority, crl: bytes
    ) -> None:
        older = authority.issue_crl(NOW - DAY)
        for crls in ([older, crl], [crl, older]):
            used = verify(*crls).crl
            assert used is not None
            assert used.der == crl

    def test_an_unusable_list_beside_a_usable_one_does_not_count(
        self, verify: Verify, impostor: SimulatedAuthority, crl: bytes
    ) -> None:
        genoa = simulated.authority(Product.GENOA).issue_crl(NOW)
        assert verify(b"?", genoa, impostor.issue_crl(NOW), crl).crl is not None

    @pytest.mark.parametrize("crls", [(), (b"?",)])
    def test_without_a_usable_list_nothing_is_said_unless_one_is_required(
        self, verify: Verify, crls: tuple[bytes, ...]
    ) -> None:
        assert verify(*crls, required=False).crl is None

    @pytest.mark.parametrize("age", [timedelta(), CRL_LIFE])
    def test_a_list_counts_from_its_first_to_its_last_second(
        self, verify: Verify, crl: bytes, age: timedelta
    ) -> None:
        assert verify(crl, now=NOW - DAY + age).crl is not None

    def test_a_list_may_be_as_old_as_allowed(self, verify: Verify, crl: bytes) -> None:
        assert verify(crl, maximum_age=DAY).crl is not None


class TestRevoked:
    """AMD has withdrawn a certificate of the chain."""

    @pytest.mark.parametrize("name", ["ask", "ark"])
    @pytest.mark.parametrize("required", [True, False])
    def test_refuses_what_a_list_names(
        self, verify: Verify, authority: SimulatedAuthority, name: str, *, required: bool
    ) -> None:
        revoked = serial(getattr(authority, name))
        with pytest.raises(SignerRevoked, match=f"{name.upper()} certificate.*{revoked:#x}"):
            verify(authority.issue_crl(NOW, [5, revoked]), required=required)

    def test_a_newer_list_gives_nothing_back(
        self, verify: Verify, authority: SimulatedAuthority, crl: bytes
    ) -> None:
        older = authority.issue_crl(NOW - 10 * DAY, [serial(authority.ask)])
        with pytest.raises(SignerRevoked):
            verify(crl, older)

    def test_a_list_that_has_ended_still_revokes(
        self, verify: Verify, authority: SimulatedAuthority
    ) -> None:
        crl = authority.issue_crl(NOW, [serial(authority.ask)])
        with pytest.raises(SignerRevoked):
            verify(crl, now=NOW + 2 * CRL_LIFE)

    def test_a_known_chain_is_looked_up_again(
        self, verify: Verify, authority: SimulatedAuthority, crl: bytes
    ) -> None:
        verify(crl)
        with pytest.raises(SignerRevoked):
            verify(authority.issue_crl(NOW, [serial(authority.ask)]))
        verify(crl)

    def test_nobody_elses_list_revokes(
        self, verify: Verify, authority: SimulatedAuthority, impostor: SimulatedAuthority
    ) -> None:
        assert verify(impostor.issue_crl(NOW, [serial(authority.ask)]), required=False).crl is None

    def test_takes_the_chain_through_a_certificate_that_is_not_revoked(
        self, machine: SimulatedMachine, authority: SimulatedAuthority
    ) -> None:
        """AMD may issue an ASK again for the same key, as it did for Genoa."""
        signer = Signer(authority.product, authority.ark_key, NOW + DAY)
        again = issue_ca(Role.ASK, authority.ask_key.public_key(), signer, serial=0x10002)
        vcek, ask, ark = machine.processor.certificates
        claims = check(
            machine.attest(bytes(64)),
            [vcek, ask, again.public_bytes(Encoding.DER), ark],
            revocation=Revocation((authority.issue_crl(NOW, [serial(ask)]),), required=True),
        )
        assert serial(claims.chain[1]) == 0x10002


class TestUnknown:
    """Lists that tell nothing, where one is required."""

    def test_says_which_list_is_missing(self, verify: Verify) -> None:
        with pytest.raises(RevocationUnknown, match="a list of ARK-Milan, observed none"):
            verify()

    @pytest.mark.parametrize("data", [b"", b"?", b"\x30\x80", b"-----BEGIN X509 CRL-----"])
    def test_refuses_what_is_no_list(self, verify: Verify, data: bytes) -> None:
        with pytest.raises(RevocationUnknown, match="1 of others or unreadable"):
            verify(data)

    def test_refuses_the_list_of_another_product(self, verify: Verify) -> None:
        with pytest.raises(RevocationUnknown, match="1 of others"):
            verify(simulated.authority(Product.GENOA).issue_crl(NOW))

    def test_refuses_a_list_signed_by_another(
        self, verify: Verify, impostor: SimulatedAuthority
    ) -> None:
        with pytest.raises(RevocationUnknown, match="signature"):
            verify(impostor.issue_crl(NOW))

    def test_refuses_a_list_signed_by_the_intermediate(
        self, verify: Verify, authority: SimulatedAuthority
    ) -> None:
        with pytest.raises(RevocationUnknown, match="signature"):
            verify(replace(authority, ark_key=authority.ask_key).issue_crl(NOW))

    def test_refuses_a_list_without_its_signature(self, verify: Verify, crl: bytes) -> None:
        with pytest.raises(RevocationUnknown, match="signature"):
            verify(crl[:-512] + bytes(512))

    def test_refuses_a_list_with_another_padding(
        self, verify: Verify, authority: SimulatedAuthority
    ) -> None:
        with pytest.raises(RevocationUnknown, match="signature"):
            verify(listing(authority, padding=PKCS1v15()))

    @pytest.mark.parametrize("position", [60, 200, -600, -1])
    def test_refuses_a_list_with_a_flipped_bit(
        self, verify: Verify, crl: bytes, position: int
    ) -> None:
        changed = bytearray(crl)
        changed[position] ^= 1
        with pytest.raises(RevocationUnknown):
            verify(bytes(changed))

    def test_refuses_a_list_before_its_time(
        self, verify: Verify, authority: SimulatedAuthority
    ) -> None:
        begins = NOW + timedelta(seconds=1)
        with pytest.raises(RevocationUnknown, match="not in force"):
            verify(authority.issue_crl(begins + DAY))

    def test_refuses_a_list_after_its_time(self, verify: Verify, crl: bytes) -> None:
        with pytest.raises(RevocationUnknown, match="not in force"):
            verify(crl, now=NOW - DAY + CRL_LIFE + timedelta(seconds=1))

    def test_judges_a_known_list_by_the_clock_again(self, verify: Verify, crl: bytes) -> None:
        verify(crl)
        with pytest.raises(RevocationUnknown):
            verify(crl, now=NOW + CRL_LIFE)

    def test_refuses_a_list_that_is_too_old(self, verify: Verify, crl: bytes) -> None:
        with pytest.raises(RevocationUnknown, match="too old"):
            verify(crl, maximum_age=DAY - timedelta(seconds=1))

    @pytest.mark.parametrize(
        ("extension", "critical"),
        [
            (x509.DeltaCRLIndicator(1), True),
            (x509.DeltaCRLIndicator(1), False),
            (x509.UnrecognizedExtension(UNKNOWN_OID, b"\x05\x00"), True),
            (
                x509.IssuingDistributionPoint(
                    full_name=None,
                    relative_name=None,
                    only_contains_user_certs=True,
                    only_contains_ca_certs=False,
                    only_some_reasons=None,
                    indirect_crl=False,
                    only_contains_attribute_certs=False,
                ),
                True,
            ),
        ],
        ids=["delta", "delta, not critical", "unknown critical", "user certificates only"],
    )
    def test_refuses_a_list_that_does_not_speak_for_all(
        self,
        verify: Verify,
        authority: SimulatedAuthority,
        extension: x509.ExtensionType,
        *,
        critical: bool,
    ) -> None:
        with pytest.raises(RevocationUnknown, match="does not speak for all"):
            verify(listing(authority, (extension, critical)))

    def test_passes_over_an_unknown_extension_that_is_not_critical(
        self, verify: Verify, authority: SimulatedAuthority
    ) -> None:
        extension = x509.UnrecognizedExtension(UNKNOWN_OID, b"\x05\x00")
        assert verify(listing(authority, (extension, False))).crl is not None

    def test_refuses_a_list_with_a_critical_extension_of_an_entry(
        self, verify: Verify, authority: SimulatedAuthority
    ) -> None:
        entry = x509.RevokedCertificateBuilder(5, NOW).add_extension(
            x509.CertificateIssuer([x509.DNSName("another.example")]), critical=True
        )
        with pytest.raises(RevocationUnknown, match="does not speak for all"):
            verify(listing(authority, entries=[entry.build()]))

    def test_refuses_a_list_without_an_end(
        self, verify: Verify, authority: SimulatedAuthority
    ) -> None:
        with pytest.raises(RevocationUnknown, match="a nextUpdate"):
            verify(without_next_update(listing(authority), authority))

    def test_refuses_a_list_that_is_too_large(self) -> None:
        with pytest.raises(RevocationUnknown, match=f"at most {MAX_CRL_SIZE} bytes"):
            load_crl(bytes(MAX_CRL_SIZE + 1))

    def test_a_forged_report_is_forged_even_without_a_list(self, machine: SimulatedMachine) -> None:
        report = bytearray(machine.attest(bytes(64)))
        report[0x50] ^= 1
        with pytest.raises(SignatureInvalid):
            check(
                bytes(report),
                machine.processor.certificates,
                revocation=Revocation(required=True),
            )


def without_next_update(crl: bytes, authority: SimulatedAuthority) -> bytes:
    """Return a list without its nextUpdate, signed anew; the library writes none such."""
    signed = x509.load_der_x509_crl(crl).tbs_certlist_bytes
    time = signed.rindex(b"\x17\x0d")  # the second of two UTCTime of 13 characters
    changed = sequence(signed[2 + (signed[1] & 0x7F) : time] + signed[time + 15 :])
    rest = crl[crl.index(signed) + len(signed) : -512]
    return sequence(changed + rest + authority.ark_key.sign(changed, signature_padding(), SHA384()))


def sequence(content: bytes) -> bytes:
    """Return a DER SEQUENCE of 128 to 65,535 bytes."""
    size = len(content).to_bytes(2, "big").lstrip(b"\0")
    return bytes((0x30, 0x80 | len(size))) + size + content
