from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from cases.verifying import check
from fakes import simulated
from nodeproof.errors import (
    CertificateMalformed,
    ChainInvalid,
    EndorsementMismatch,
    EndorsementsMissing,
    ProductUnknown,
    ReportDataMismatch,
    ReportMalformed,
    ReportVersionUnsupported,
    RootUntrusted,
    SignatureInvalid,
    VerificationError,
)
from nodeproof.policy import SignerKind
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.extensions import AMD_ARC
from nodeproof.sevsnp.products import CPUID, Product
from nodeproof.sevsnp.roots import AMD_ROOTS
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine, SimulatedProcessor
from nodeproof.sevsnp.simulator.encoding import encode_tcb
from nodeproof.sevsnp.simulator.issuing import Signer, issue_vek, vcek_extensions
from nodeproof.sevsnp.simulator.processor import DEBUG_POLICY
from nodeproof.sevsnp.tcb import TCBVersion
from nodeproof.sevsnp.verify import VerifiedReport

NOW = simulated.NOW
QUESTION = bytes(range(64))
CSP = b"CN=cc-test.example"


def endorse(machine: SimulatedMachine, **changes: bytes) -> tuple[bytes, ...]:
    """Return a chain whose VCEK is for the machine's key, but with other extensions.

    ``changes`` are contents by the last arcs of AMD's OIDs: ``_3_1`` is blSPL, ``_4`` hwID.
    """
    processor, authority = machine.processor, simulated.authority(machine.product)
    extensions = vcek_extensions(machine.product, machine.chip_id, processor.tcb)
    extensions |= {AMD_ARC + arcs.replace("_", "."): value for arcs, value in changes.items()}
    signer = Signer(machine.product, authority.ask_key, NOW)
    vcek = issue_vek(Role.VCEK, processor.vcek_key.public_key(), extensions, signer)
    return (vcek, *processor.certificates[1:])


@pytest.mark.parametrize("product", Product)
@pytest.mark.parametrize("version", [3, 5])
def test_accepts_the_simulated_platform(product: Product, version: int) -> None:
    machine = simulated.machine(product, report_version=version)
    report = machine.attest(QUESTION)
    claims = check(report, machine.processor.certificates, report_data=QUESTION)
    assert claims.report.raw == report
    assert claims.product is product
    assert claims.cpu_model == product
    assert claims.signer is SignerKind.SIMULATED
    assert claims.csp_id is None
    assert claims.reported_tcb == claims.launch_tcb == machine.processor.tcb
    assert claims.chain == machine.processor.certificates


def test_takes_the_signer_from_the_certificate_under_a_hardware_root(
    machine: SimulatedMachine, authority: SimulatedAuthority
) -> None:
    anchor = replace(authority.anchor(), simulated=False)
    claims = check(machine.attest(QUESTION), machine.processor.certificates, anchors=[anchor])
    assert claims.signer is SignerKind.VCEK


def test_the_simulated_platform_is_nothing_to_amds_roots(machine: SimulatedMachine) -> None:
    with pytest.raises(RootUntrusted):
        check(machine.attest(QUESTION), machine.processor.certificates, anchors=AMD_ROOTS)


def test_no_anchor_trusts_nothing(machine: SimulatedMachine) -> None:
    with pytest.raises(RootUntrusted):
        check(machine.attest(QUESTION), machine.processor.certificates, anchors=[])


def test_a_debug_report_is_genuine_all_the_same(machine: SimulatedMachine) -> None:
    report = simulated.report(machine, policy=DEBUG_POLICY)
    assert check(report, machine.processor.certificates).report.policy.debug


def test_each_tcb_version_is_its_own(machine: SimulatedMachine) -> None:
    versions = {
        f"{name}_tcb": msgspec.structs.replace(machine.processor.tcb, microcode=microcode)
        for microcode, name in enumerate(("launch", "committed", "current"), start=250)
    }
    raw = {name: encode_tcb(tcb, machine.product) for name, tcb in versions.items()}
    claims = check(simulated.report(machine, **raw), machine.processor.certificates)
    assert {name: getattr(claims, name) for name in versions} == versions


class TestReport:
    """Reports that are not genuine, whatever the certificates."""

    def test_refuses_an_answer_to_something_else(self, machine: SimulatedMachine) -> None:
        other = QUESTION[::-1]
        with pytest.raises(ReportDataMismatch) as caught:
            check(machine.attest(other), machine.processor.certificates, report_data=QUESTION)
        assert caught.value.observed == other.hex()

    @pytest.mark.parametrize("size", [0, 63, 65])
    def test_refuses_report_data_of_another_size(
        self, machine: SimulatedMachine, size: int
    ) -> None:
        report = machine.attest(bytes(64))
        with pytest.raises(ReportDataMismatch):
            check(report, machine.processor.certificates, report_data=bytes(size))

    @pytest.mark.parametrize("size", [0, 672, 1183, 1185])
    def test_refuses_a_cut_or_longer_report(self, machine: SimulatedMachine, size: int) -> None:
        report = (machine.attest(QUESTION) + b"\x00")[:size]
        with pytest.raises(ReportMalformed):
            check(report, machine.processor.certificates)

    @pytest.mark.parametrize("position", [20, 200, 900, -10])
    def test_refuses_a_vcek_with_a_flipped_bit(
        self, machine: SimulatedMachine, position: int
    ) -> None:
        vcek, *others = machine.processor.certificates
        changed = bytearray(vcek)
        changed[position] ^= 1
        with pytest.raises(VerificationError):
            check(machine.attest(QUESTION), [bytes(changed), *others])

    @pytest.mark.parametrize("offset", [0x004, 0x050, 0x090, 0x140, 0x1F8, 0x2A0, 0x2E8])
    def test_refuses_a_flipped_bit(self, machine: SimulatedMachine, offset: int) -> None:
        report = bytearray(machine.attest(QUESTION))
        report[offset] ^= 1
        with pytest.raises(SignatureInvalid):
            check(bytes(report), machine.processor.certificates)

    def test_refuses_an_unknown_processor(self, machine: SimulatedMachine) -> None:
        report = simulated.report(machine, cpuid=CPUID(0x1A, 0x50, 0))
        with pytest.raises(ProductUnknown):
            check(report, machine.processor.certificates)

    def test_refuses_reserved_bytes_of_a_tcb(self, machine: SimulatedMachine) -> None:
        report = simulated.report(machine, launch_tcb=bytes.fromhex("0400010000001bde"))
        with pytest.raises(ReportMalformed, match="TCB"):
            check(report, machine.processor.certificates)

    def test_the_other_signature_of_the_same_bytes_is_as_good(
        self, machine: SimulatedMachine
    ) -> None:
        report = machine.attest(QUESTION)
        claims = check(report, machine.processor.certificates)
        other = _other_signature(claims)
        assert other != report
        assert check(other, machine.processor.certificates).report.signed == report[:672]


def _other_signature(claims: VerifiedReport) -> bytes:
    order = int(
        "ffffffffffffffffffffffffffffffffffffffffffffffff"
        "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        16,
    )
    s = order - claims.report.signature_s
    return claims.report.raw[:0x2E8] + s.to_bytes(72, "little") + claims.report.raw[0x330:]


class TestConsistency:
    """What runs is never older than what is reported or committed, and so on."""

    @pytest.mark.parametrize("component", ["bootloader", "snp", "microcode"])
    @pytest.mark.parametrize("field", ["committed_tcb", "reported_tcb"])
    def test_refuses_more_than_runs(
        self, machine: SimulatedMachine, field: str, component: str
    ) -> None:
        tcb = machine.processor.tcb
        older = msgspec.structs.replace(tcb, **{component: getattr(tcb, component) - 1})
        report = simulated.report(
            machine,
            **{
                "current_tcb": encode_tcb(older, machine.product),
                field: encode_tcb(tcb, machine.product),
            },
        )
        with pytest.raises(ReportMalformed, match="contradicts itself"):
            check(report, machine.processor.certificates)

    def test_refuses_a_committed_version_above_the_current_one(
        self, machine: SimulatedMachine
    ) -> None:
        report = simulated.report(
            machine, current_version=(1, 55, 64), committed_version=(1, 55, 65)
        )
        with pytest.raises(ReportMalformed, match="the committed version is above what runs"):
            check(report, machine.processor.certificates)

    def test_a_new_minor_version_begins_its_builds_anew(self, machine: SimulatedMachine) -> None:
        report = simulated.report(
            machine, current_version=(1, 56, 0), committed_version=(1, 55, 65)
        )
        claims = check(report, machine.processor.certificates)
        assert claims.report.current_version == (1, 56, 0)

    def test_refuses_a_migration_agent_that_the_policy_forbids(
        self, machine: SimulatedMachine
    ) -> None:
        report = simulated.report(machine, report_id_ma=b"\x01" * 32)
        with pytest.raises(ReportMalformed, match="a migration agent that its policy forbids"):
            check(report, machine.processor.certificates)

    def test_a_migration_agent_is_no_contradiction_where_it_is_allowed(
        self, machine: SimulatedMachine
    ) -> None:
        report = simulated.report(machine, report_id_ma=b"\x01" * 32, policy=0x70000)
        assert check(report, machine.processor.certificates).report.policy.migrate_ma

    def test_a_forged_report_is_called_forged_first(self, machine: SimulatedMachine) -> None:
        report = bytearray(machine.attest(QUESTION))
        report[0x1E0 + 6] = 0
        with pytest.raises(SignatureInvalid):
            check(bytes(report), machine.processor.certificates)


class TestVersion2:
    """Reports that do not name their processor: the chain tells the product."""

    def test_takes_the_product_from_the_chain(self, machine: SimulatedMachine) -> None:
        claims = check(simulated.report(machine, version=2), machine.processor.certificates)
        assert claims.product is Product.MILAN
        assert claims.cpu_model is None

    def test_refuses_turin(self) -> None:
        tcb = TCBVersion(fmc=1, bootloader=1, tee=0, snp=0, microcode=0x51)
        authority = simulated.authority(Product.TURIN)
        processor = SimulatedProcessor.create(authority, now=NOW, tcb=tcb)
        machine = SimulatedMachine.launch(processor)
        with pytest.raises(ReportVersionUnsupported, match="Turin"):
            check(simulated.report(machine, version=2), processor.certificates)


class TestEndorsement:
    """Good chains that belong to something else than the report."""

    def test_refuses_the_vcek_of_another_chip(self, machine: SimulatedMachine) -> None:
        other = simulated.machine(seed=1)
        with pytest.raises(EndorsementMismatch, match="CHIP_ID") as caught:
            check(machine.attest(QUESTION), other.processor.certificates)
        assert caught.value.expected == machine.chip_id.hex()
        assert caught.value.observed == other.chip_id.hex()

    def test_refuses_another_key_for_the_same_chip(self, machine: SimulatedMachine) -> None:
        same_chip = simulated.machine()
        assert same_chip.chip_id == machine.chip_id
        with pytest.raises(SignatureInvalid):
            check(machine.attest(QUESTION), same_chip.processor.certificates)

    @pytest.mark.parametrize("name", ["bootloader", "snp", "microcode"])
    def test_refuses_a_vcek_of_other_firmware(self, machine: SimulatedMachine, name: str) -> None:
        tcb = machine.processor.tcb
        other = msgspec.structs.replace(tcb, **{name: getattr(tcb, name) + 1})
        report = simulated.report(machine, reported_tcb=encode_tcb(other, machine.product))
        with pytest.raises(EndorsementMismatch, match="REPORTED_TCB") as caught:
            check(report, machine.processor.certificates)
        assert (caught.value.expected, caught.value.observed) == (str(other), str(tcb))

    @pytest.mark.parametrize("name", ["fmc", "bootloader", "tee", "snp", "microcode"])
    def test_refuses_a_turin_vcek_of_other_firmware(
        self, turin: SimulatedMachine, name: str
    ) -> None:
        tcb = turin.processor.tcb
        other = msgspec.structs.replace(tcb, **{name: getattr(tcb, name) + 1})
        report = simulated.report(turin, reported_tcb=encode_tcb(other, Product.TURIN))
        with pytest.raises(EndorsementMismatch, match="REPORTED_TCB"):
            check(report, turin.processor.certificates)

    @pytest.mark.parametrize("position", [0, 31, 63])
    def test_compares_all_of_the_hw_id(self, machine: SimulatedMachine, position: int) -> None:
        hw_id = bytearray(machine.chip_id)
        hw_id[position] ^= 1
        with pytest.raises(EndorsementMismatch, match="CHIP_ID"):
            check(machine.attest(QUESTION), endorse(machine, _4=bytes(hw_id)))

    def test_accepts_a_wrapped_hw_id(self, machine: SimulatedMachine) -> None:
        certificates = endorse(machine, _4=b"\x04\x40" + machine.chip_id)
        assert check(machine.attest(QUESTION), certificates).chain[0] == certificates[0]

    def test_accepts_a_wrapped_hw_id_of_turin(self, turin: SimulatedMachine) -> None:
        certificates = endorse(turin, _4=b"\x04\x08" + turin.chip_id[:8])
        assert check(turin.attest(QUESTION), certificates).chain[0] == certificates[0]

    @pytest.mark.parametrize("size", [0, 8, 63, 65])
    def test_refuses_a_hw_id_of_another_size(self, machine: SimulatedMachine, size: int) -> None:
        hw_id = (machine.chip_id + b"\x00")[:size]
        with pytest.raises(EndorsementMismatch, match="hwID size"):
            check(machine.attest(QUESTION), endorse(machine, _4=hw_id))

    def test_refuses_a_turin_chip_id_beyond_its_hw_id(self, turin: SimulatedMachine) -> None:
        report = simulated.report(turin, chip_id=turin.chip_id[:-1] + b"\x01")
        with pytest.raises(EndorsementMismatch, match="CHIP_ID"):
            check(report, turin.processor.certificates)

    @pytest.mark.parametrize("product", Product)
    def test_refuses_a_masked_chip(self, product: Product) -> None:
        machine = simulated.machine(product)
        report = simulated.report(machine, chip_id=bytes(64))
        with pytest.raises(EndorsementMismatch, match="masks"):
            check(report, machine.processor.certificates)

    def test_refuses_the_chain_of_another_product(self, machine: SimulatedMachine) -> None:
        genoa = simulated.machine(Product.GENOA)
        with pytest.raises(EndorsementMismatch, match="expected Milan, observed Genoa"):
            check(machine.attest(QUESTION), genoa.processor.certificates)

    @pytest.mark.parametrize("name", [b"Genoa", b"Milano", b"milan"])
    def test_refuses_another_product_name(self, machine: SimulatedMachine, name: bytes) -> None:
        certificates = endorse(machine, _2=bytes((0x16, len(name))) + name)
        with pytest.raises(EndorsementMismatch, match="productName"):
            check(machine.attest(QUESTION), certificates)

    def test_refuses_a_vcek_that_names_a_provider(self, machine: SimulatedMachine) -> None:
        certificates = endorse(machine, _5=bytes((0x16, len(CSP))) + CSP)
        with pytest.raises(EndorsementMismatch, match="no cloud provider"):
            check(machine.attest(QUESTION), certificates)


class TestCertificates:
    """What may come along with a report."""

    def test_without_certificates_nothing_is_known(self, machine: SimulatedMachine) -> None:
        with pytest.raises(EndorsementsMissing, match="expected a VCEK certificate"):
            check(machine.attest(QUESTION), [])

    def test_certificates_may_come_in_any_order(self, machine: SimulatedMachine) -> None:
        certificates = machine.processor.certificates
        assert check(machine.attest(QUESTION), certificates[::-1]).chain == certificates

    def test_takes_the_vcek_that_fits(self, machine: SimulatedMachine) -> None:
        others = [simulated.machine(seed=seed).processor.certificates[0] for seed in (1, 2)]
        certificates = machine.processor.certificates
        claims = check(machine.attest(QUESTION), [*others, *certificates])
        assert claims.chain == certificates

    def test_passes_over_what_is_not_amds(
        self, machine: SimulatedMachine, impostor: SimulatedAuthority
    ) -> None:
        genoa = simulated.machine(Product.GENOA).processor.certificates
        pool = [*genoa, impostor.ark, impostor.ask, *machine.processor.certificates]
        assert check(machine.attest(QUESTION), pool).product is Product.MILAN

    def test_refuses_a_certificate_that_cannot_be_read(self, machine: SimulatedMachine) -> None:
        with pytest.raises(CertificateMalformed):
            check(machine.attest(QUESTION), [*machine.processor.certificates, b"?"])

    def test_judges_a_known_chain_by_the_clock_again(self, machine: SimulatedMachine) -> None:
        report, certificates = machine.attest(QUESTION), machine.processor.certificates
        check(report, certificates)
        with pytest.raises(ChainInvalid, match="not in force"):
            check(report, certificates, now=NOW + timedelta(days=8 * 365))

    def test_judges_a_known_chain_by_the_anchors_again(self, machine: SimulatedMachine) -> None:
        report, certificates = machine.attest(QUESTION), machine.processor.certificates
        check(report, certificates)
        with pytest.raises(RootUntrusted):
            check(report, certificates, anchors=AMD_ROOTS)

    def test_the_error_is_that_of_the_vek_that_came_furthest(
        self, machine: SimulatedMachine, impostor: SimulatedAuthority
    ) -> None:
        key = machine.processor.vcek_key.public_key()
        forged = impostor.issue_vcek(key, machine.chip_id, machine.processor.tcb, NOW)
        stranger = simulated.machine(seed=1).processor.certificates
        for pool in ([forged, *stranger], [*stranger, forged]):
            with pytest.raises(EndorsementMismatch):
                check(machine.attest(QUESTION), pool)


def test_every_refusal_tells_a_reason_of_the_catalogue(machine: SimulatedMachine) -> None:
    with pytest.raises(VerificationError) as caught:
        check(machine.attest(QUESTION), [])
    assert caught.value.reason == "EndorsementsMissing"
    assert caught.value.expected
    assert caught.value.observed
