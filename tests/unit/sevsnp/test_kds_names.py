from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import simulated
from nodeproof.errors import ReportMalformed, VerificationError
from nodeproof.sevsnp.bits import SigningKey
from nodeproof.sevsnp.certificates import Role, load_certificates
from nodeproof.sevsnp.crl import MAX_CRL_SIZE
from nodeproof.sevsnp.kds import (
    CAName,
    CollateralName,
    CRLName,
    VCEKName,
    ca_names,
    path_of,
    size_limit,
    vcek_name,
    vcek_names,
    vcek_names_in,
)
from nodeproof.sevsnp.layout import REPORT_SIZE
from nodeproof.sevsnp.products import CPUID, Product
from nodeproof.sevsnp.simulator.encoding import encode_tcb
from nodeproof.sevsnp.tcb import TCBVersion

MILAN_TCB = TCBVersion(fmc=None, bootloader=4, tee=0, snp=27, microcode=222)
TURIN_TCB = TCBVersion(fmc=1, bootloader=2, tee=3, snp=4, microcode=5)
VLEK = SigningKey.VLEK << 2


class TestPaths:
    """The exact addresses of the service."""

    def test_a_vcek_of_milan(self) -> None:
        name = VCEKName(Product.MILAN, bytes(range(64)), MILAN_TCB)
        chip = bytes(range(64)).hex()
        assert path_of(name) == (f"/vcek/v1/Milan/{chip}?blSPL=04&teeSPL=00&snpSPL=27&ucodeSPL=222")

    def test_a_vcek_of_turin_has_a_short_chip_and_one_version_more(self) -> None:
        name = VCEKName(Product.TURIN, bytes(range(8)), TURIN_TCB)
        assert path_of(name) == (
            "/vcek/v1/Turin/0001020304050607?fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=05"
        )

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            (CAName(Product.MILAN, Role.ASK), "/vcek/v1/Milan/cert_chain"),
            (CAName(Product.TURIN, Role.ASVK), "/vlek/v1/Turin/cert_chain"),
            (CRLName(Product.GENOA, Role.ASK), "/vcek/v1/Genoa/crl"),
            (CRLName(Product.MILAN, Role.ASVK), "/vlek/v1/Milan/crl"),
        ],
    )
    def test_chains_and_lists(self, name: CAName | CRLName, path: str) -> None:
        assert path_of(name) == path

    def test_sizes_are_bounded_by_what_is_asked_for(self) -> None:
        vcek = VCEKName(Product.MILAN, bytes(64), MILAN_TCB)
        chain, crl = CAName(Product.MILAN, Role.ASK), CRLName(Product.MILAN, Role.ASK)
        sizes = [size_limit(name) for name in (vcek, chain, crl)]
        assert sizes == [16 * 1024, 64 * 1024, MAX_CRL_SIZE]


class TestReports:
    """What a report says that its certificates are called."""

    @pytest.mark.parametrize("product", Product)
    def test_a_report_names_the_vcek_of_its_chip(self, product: Product) -> None:
        machine = simulated.machine(product)
        (name,) = vcek_names(machine.attest(bytes(64)))
        (vcek,) = load_certificates(machine.processor.certificates[:1])
        assert name == vcek_name(vcek)
        assert name.tcb == machine.processor.tcb

    def test_the_reported_tcb_counts_and_no_other(self) -> None:
        machine = simulated.machine(Product.MILAN)
        older = encode_tcb(MILAN_TCB, Product.MILAN)
        (name,) = vcek_names(simulated.report(machine, reported_tcb=older))
        assert name.tcb == MILAN_TCB

    def test_bergamo_is_endorsed_as_genoa(self) -> None:
        machine = simulated.machine(Product.GENOA)
        report = simulated.report(machine, cpuid=CPUID(0x19, 0xA0, 0x02))
        assert [name.product for name in vcek_names(report)] == [Product.GENOA]
        assert ca_names(report) == (CAName(Product.GENOA, Role.ASK),)

    def test_version_2_may_be_of_milan_or_genoa(self) -> None:
        report = simulated.report(simulated.machine(Product.MILAN), version=2)
        assert [name.product for name in vcek_names(report)] == [Product.MILAN, Product.GENOA]
        assert [name.product for name in ca_names(report)] == [Product.MILAN, Product.GENOA]

    def test_nobody_can_ask_for_a_vlek(self) -> None:
        machine = simulated.machine(Product.MILAN)
        report = simulated.report(machine, key_info=VLEK, chip_id=bytes(64))
        assert vcek_names(report) == ()
        assert ca_names(report) == (CAName(Product.MILAN, Role.ASVK),)

    def test_a_masked_chip_has_no_name(self) -> None:
        report = simulated.report(simulated.machine(Product.MILAN), chip_id=bytes(64))
        assert vcek_names(report) == ()

    def test_a_chip_that_turin_cannot_have_is_not_asked_for(self) -> None:
        machine = simulated.machine(Product.TURIN)
        report = simulated.report(machine, chip_id=bytes([7] * 9) + bytes(55))
        assert vcek_names(report) == ()

    def test_refuses_what_is_no_report(self) -> None:
        for names in (vcek_names, ca_names):
            with pytest.raises(ReportMalformed):
                names(b"?")


class TestText:
    """Names in texts for people, read back."""

    @pytest.mark.parametrize("product", Product)
    def test_a_name_is_found_wherever_it_stands(self, product: Product) -> None:
        names = vcek_names(simulated.machine(product).attest(bytes(64)))
        assert vcek_names_in(f"ASK of it, {names[0]}, and more") == names

    def test_several_are_found_once_each(self) -> None:
        names = vcek_names(simulated.report(simulated.machine(Product.MILAN), version=2))
        assert vcek_names_in(", ".join(map(str, [*names, *names]))) == names

    @pytest.mark.parametrize(
        ("part", "other"),
        [
            ("chip 00", "chip "),
            ("chip 00", "chip 0000"),
            ("bootloader=2", "bootloader=256"),
            ("microcode=5", "microcode=1234"),
            ("fmc=1 ", ""),
            ("Turin", "Milan"),
            ("Turin", "Venice"),
            ("snp=4", "snp=-4"),
        ],
    )
    def test_what_is_no_name_is_passed_over(self, part: str, other: str) -> None:
        text = str(VCEKName(Product.TURIN, bytes(8), TURIN_TCB))
        assert vcek_names_in(text) != ()
        assert vcek_names_in(text.replace(part, other, 1)) == ()

    @given(
        st.text() | st.from_regex(r"VCEK of Turin chip [0-9a-f]{16} at (fmc=[0-9]+ )?[a-z=0-9 ]+")
    )
    def test_any_text(self, text: str) -> None:
        for name in vcek_names_in(text):
            assert name.hw_id.hex() in text


@settings(deadline=None)
@given(st.binary(min_size=REPORT_SIZE, max_size=REPORT_SIZE), st.integers(2, 6))
def test_any_bytes_give_a_plain_path_or_our_error(data: bytes, version: int) -> None:
    report = version.to_bytes(4, "little") + data[4:]
    with suppress(VerificationError):
        names: list[CollateralName] = [*vcek_names(report), *ca_names(report)]
        for name in names:
            assert re.fullmatch(r"/[a-z0-9/A-Z_]+(\?[A-Za-z0-9=&]+)?", path_of(name))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0x180, 0x1DF), st.integers(0, 255)), max_size=8))
def test_any_change_of_chip_and_versions(changes: list[tuple[int, int]]) -> None:
    report = bytearray(simulated.machine(Product.TURIN).attest(bytes(64)))
    for offset, value in changes:
        report[offset] = value
    with suppress(VerificationError):
        for name in vcek_names(bytes(report)):
            assert re.fullmatch(r"/vcek/v1/[A-Z][a-z]+/[0-9a-f]+\?[A-Za-z0-9=&]+", path_of(name))
