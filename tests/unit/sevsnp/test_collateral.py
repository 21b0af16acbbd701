from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import endorsing
from fakes import simulated
from nodeproof.errors import (
    CertificateMalformed,
    ChainInvalid,
    EndorsementMismatch,
    EndorsementsMissing,
    RevocationUnknown,
    RootUntrusted,
    VerificationError,
)
from nodeproof.sevsnp.certificates import Role, load_certificates
from nodeproof.sevsnp.collateral import check_ca, check_crl, check_item, check_vcek, classify
from nodeproof.sevsnp.kds import CAName, CRLName, VCEKName, vcek_name
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.simulator.issuing import CRL_LIFE, VCEK_LIFE

NOW = simulated.NOW
QUIET = settings(deadline=None, max_examples=80)
MILAN_CA = CAName(Product.MILAN, Role.ASK)
MILAN_CRL = CRLName(Product.MILAN, Role.ASK)

# Mutated certificates meet other warnings of the library's; where it merely warns we go on.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

Anchors = tuple[TrustAnchor, ...]


class TestCA:
    """The chain of an intermediate."""

    @pytest.mark.parametrize("product", Product)
    @pytest.mark.parametrize("intermediate", [Role.ASK, Role.ASVK])
    def test_keeps_what_was_asked_for(
        self, product: Product, intermediate: Role, anchors: Anchors
    ) -> None:
        data = endorsing.chain(simulated.authority(product), intermediate)
        kept = check_ca(CAName(product, intermediate), data, anchors, NOW)
        assert [each.role for each in load_certificates(kept)] == [intermediate, Role.ARK]

    def test_refuses_a_chain_that_we_did_not_pin(
        self, impostor: SimulatedAuthority, anchors: Anchors
    ) -> None:
        with pytest.raises(RootUntrusted):
            check_ca(MILAN_CA, endorsing.chain(impostor), anchors, NOW)

    def test_refuses_an_intermediate_that_the_pinned_root_did_not_sign(
        self, authority: SimulatedAuthority, impostor: SimulatedAuthority, anchors: Anchors
    ) -> None:
        with pytest.raises(ChainInvalid, match="signature on the ASK"):
            check_ca(MILAN_CA, impostor.ask + authority.ark, anchors, NOW)

    def test_refuses_the_chain_of_another_product(self, anchors: Anchors) -> None:
        with pytest.raises(EndorsementsMissing, match="not the chain that was asked for"):
            check_ca(MILAN_CA, endorsing.chain(simulated.authority(Product.GENOA)), anchors, NOW)

    def test_refuses_the_other_intermediate(
        self, authority: SimulatedAuthority, anchors: Anchors
    ) -> None:
        with pytest.raises(EndorsementsMissing, match="SEV-VLEK-Milan and ARK-Milan"):
            check_ca(
                replace(MILAN_CA, intermediate=Role.ASVK), endorsing.chain(authority), anchors, NOW
            )

    def test_refuses_a_chain_without_its_root(
        self, authority: SimulatedAuthority, anchors: Anchors
    ) -> None:
        with pytest.raises(EndorsementsMissing):
            check_ca(MILAN_CA, authority.ask, anchors, NOW)

    def test_refuses_a_chain_that_is_not_in_force(
        self, authority: SimulatedAuthority, anchors: Anchors
    ) -> None:
        with pytest.raises(ChainInvalid, match="not in force"):
            check_ca(MILAN_CA, endorsing.chain(authority), anchors, NOW - timedelta(days=2))


class TestVCEK:
    """One chip's certificate."""

    @pytest.mark.parametrize("product", Product)
    def test_keeps_what_was_asked_for(self, product: Product, anchors: Anchors) -> None:
        vcek, *ca = simulated.machine(product).processor.certificates
        assert check_vcek(name_of(vcek), vcek, ca, anchors, NOW) == vcek

    def test_gives_der_for_pem(self, machine: SimulatedMachine, anchors: Anchors) -> None:
        vcek, *ca = machine.processor.certificates
        assert check_vcek(name_of(vcek), endorsing.pem(vcek), ca, anchors, NOW) == vcek

    def test_refuses_that_of_another_chip(
        self, machine: SimulatedMachine, anchors: Anchors
    ) -> None:
        vcek, *ca = machine.processor.certificates
        other = simulated.machine(Product.MILAN, seed=1).processor.certificates[0]
        with pytest.raises(EndorsementMismatch, match="hwID"):
            check_vcek(name_of(vcek), other, ca, anchors, NOW)

    @pytest.mark.parametrize("part", ["bootloader", "tee", "snp", "microcode"])
    def test_refuses_that_of_other_firmware(
        self, machine: SimulatedMachine, anchors: Anchors, part: str
    ) -> None:
        vcek, *ca = machine.processor.certificates
        name = name_of(vcek)
        newer = replace(name, tcb=msgspec.structs.replace(name.tcb, **{part: 99}))
        with pytest.raises(EndorsementMismatch, match="TCB version"):
            check_vcek(newer, vcek, ca, anchors, NOW)

    def test_refuses_that_of_another_product(
        self, machine: SimulatedMachine, anchors: Anchors
    ) -> None:
        vcek, *ca = machine.processor.certificates
        name = replace(name_of(vcek), product=Product.GENOA)
        with pytest.raises(EndorsementMismatch, match="product"):
            check_vcek(name, vcek, ca, anchors, NOW)

    def test_refuses_one_that_nobody_pinned_signed(
        self, machine: SimulatedMachine, impostor: SimulatedAuthority, anchors: Anchors
    ) -> None:
        vcek, *ca = machine.processor.certificates
        key, name = machine.processor.vcek_key.public_key(), name_of(vcek)
        forged = impostor.issue_vcek(key, machine.chip_id, name.tcb, NOW)
        with pytest.raises(RootUntrusted):
            check_vcek(name, forged, impostor.certificates(), anchors, NOW)
        with pytest.raises(ChainInvalid, match="signature on the VCEK"):
            check_vcek(name, forged, ca, anchors, NOW)

    def test_refuses_one_that_has_ended(self, machine: SimulatedMachine, anchors: Anchors) -> None:
        vcek, *ca = machine.processor.certificates
        with pytest.raises(ChainInvalid, match="not in force"):
            check_vcek(name_of(vcek), vcek, ca, anchors, NOW + VCEK_LIFE)

    def test_refuses_other_certificates(self, machine: SimulatedMachine, anchors: Anchors) -> None:
        vcek, *ca = machine.processor.certificates
        for data in (ca[0], endorsing.pem(vcek, ca[0]), endorsing.vlek(Product.MILAN)):
            with pytest.raises(EndorsementsMissing, match="not the VCEK"):
                check_vcek(name_of(vcek), data, ca, anchors, NOW)

    def test_refuses_one_without_the_chain_above_it(
        self, machine: SimulatedMachine, anchors: Anchors
    ) -> None:
        vcek, ask, _ = machine.processor.certificates
        with pytest.raises(EndorsementsMissing):
            check_vcek(name_of(vcek), vcek, [ask], anchors, NOW)


class TestCRL:
    """A product's revocation list."""

    def keep(
        self,
        crl: bytes,
        anchors: Anchors,
        ca: Sequence[bytes] | None = None,
        now: datetime = NOW,
    ) -> bytes:
        if ca is None:
            ca = simulated.authority(Product.MILAN).certificates()
        return check_crl(MILAN_CRL, crl, ca, anchors, now).der

    def test_keeps_the_roots_list(self, authority: SimulatedAuthority, anchors: Anchors) -> None:
        crl = authority.issue_crl(NOW)
        assert self.keep(crl, anchors) == crl

    def test_keeps_a_list_that_revokes_the_intermediate(
        self, authority: SimulatedAuthority, anchors: Anchors
    ) -> None:
        ask = load_certificates([authority.ask])[0]
        assert self.keep(authority.issue_crl(NOW, [ask.serial]), anchors)

    def test_refuses_the_list_of_another_root_of_that_name(
        self, impostor: SimulatedAuthority, anchors: Anchors
    ) -> None:
        with pytest.raises(RevocationUnknown, match="signature"):
            self.keep(impostor.issue_crl(NOW), anchors)
        with pytest.raises(RootUntrusted):
            self.keep(impostor.issue_crl(NOW), anchors, impostor.certificates())

    def test_refuses_the_list_of_another_product(self, anchors: Anchors) -> None:
        with pytest.raises(RevocationUnknown, match="another issuer"):
            self.keep(simulated.authority(Product.GENOA).issue_crl(NOW), anchors)

    @pytest.mark.parametrize("after", [-timedelta(days=2), CRL_LIFE])
    def test_refuses_a_list_that_is_not_in_force(
        self, authority: SimulatedAuthority, anchors: Anchors, after: timedelta
    ) -> None:
        with pytest.raises(RevocationUnknown, match="not in force"):
            self.keep(authority.issue_crl(NOW - after), anchors)

    def test_refuses_a_list_without_the_root(
        self, authority: SimulatedAuthority, anchors: Anchors
    ) -> None:
        with pytest.raises(EndorsementsMissing, match="expected ARK-Milan"):
            self.keep(authority.issue_crl(NOW), anchors, [authority.ask])

    @pytest.mark.parametrize("data", [b"", b"?", b"<html>503</html>", b"\x30\x80"])
    def test_refuses_what_is_no_list(self, anchors: Anchors, data: bytes) -> None:
        with pytest.raises(RevocationUnknown):
            self.keep(data, anchors)


class TestItems:
    """Things of unknown kind."""

    def test_a_pem_text_may_hold_several(self, machine: SimulatedMachine) -> None:
        items = classify(endorsing.pem(*machine.processor.certificates))
        assert [item.kind for item in items] == ["VCEK", "ASK", "ARK"]
        assert {item.product for item in items} == {Product.MILAN}

    @pytest.mark.parametrize("product", Product)
    def test_a_list_is_its_roots(self, product: Product) -> None:
        (item,) = classify(simulated.authority(product).issue_crl(NOW))
        assert (item.kind, item.product) == ("CRL", product)

    def test_refuses_what_is_neither(self) -> None:
        with pytest.raises(CertificateMalformed, match="neither"):
            classify(b"apiVersion: v1")

    def test_all_that_a_bundle_may_hold_is_good(
        self, machine: SimulatedMachine, authority: SimulatedAuthority, anchors: Anchors
    ) -> None:
        own = [endorsing.asvk(Product.MILAN), endorsing.vlek(Product.MILAN)]
        values = [*machine.processor.certificates, *own, authority.issue_crl(NOW)]
        for value in values:
            (item,) = classify(value)
            check_item(item, [*authority.certificates(), own[0]], anchors, NOW)

    @pytest.mark.parametrize(
        "forge",
        [
            lambda impostor: impostor.ark,
            lambda impostor: impostor.ask,
            lambda impostor: impostor.issue_crl(NOW),
        ],
        ids=["root", "intermediate", "list"],
    )
    def test_refuses_what_nobody_pinned_signed(
        self,
        forge: Callable[[SimulatedAuthority], bytes],
        authority: SimulatedAuthority,
        impostor: SimulatedAuthority,
        anchors: Anchors,
    ) -> None:
        (item,) = classify(forge(impostor))
        for ca in (authority.certificates(), impostor.certificates(), ()):
            with pytest.raises(VerificationError):
                check_item(item, ca, anchors, NOW)


def name_of(vcek: bytes) -> VCEKName:
    return vcek_name(load_certificates([vcek])[0])


patches = st.lists(st.tuples(st.integers(0, 4095), st.binary(min_size=1, max_size=4)), max_size=4)


def kept_of(data: bytes) -> list[str]:
    """Return how some bytes could be kept; any error but ours fails the test."""
    vcek, *ca = simulated.machine(Product.MILAN).processor.certificates
    anchors = [simulated.authority(Product.MILAN).anchor()]
    kept = []
    with suppress(VerificationError):
        check_ca(MILAN_CA, data, anchors, NOW)
        kept.append("a chain")
    with suppress(VerificationError):
        check_vcek(name_of(vcek), data, ca, anchors, NOW)
        kept.append("a VCEK")
    with suppress(VerificationError):
        check_crl(MILAN_CRL, data, ca, anchors, NOW)
        kept.append("a list")
    with suppress(VerificationError):
        for item in classify(data):
            check_item(item, ca, anchors, NOW)
            kept.append("an item")
    return kept


@QUIET
@given(st.binary(max_size=400) | st.binary(max_size=400).map(lambda data: b"\x30\x82" + data))
def test_any_bytes(data: bytes) -> None:
    assert kept_of(data) == []


@QUIET
@given(st.integers(0, 3), patches)
def test_any_change(which: int, changes: list[tuple[int, bytes]]) -> None:
    authority = simulated.authority(Product.MILAN)
    genuine = (*simulated.machine(Product.MILAN).processor.certificates, authority.issue_crl(NOW))
    changed = bytearray(genuine[which])
    for offset, value in changes:
        start = offset % len(genuine[which])
        changed[start : start + len(value)] = value
    if bytes(changed) != genuine[which]:
        assert kept_of(bytes(changed)) == []
