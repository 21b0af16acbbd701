from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from fakes import genuine
from fakes.genuine import Vector
from nodeproof.errors import (
    ChainInvalid,
    EndorsementMismatch,
    EndorsementsMissing,
    ReportDataMismatch,
    RootUntrusted,
    SignatureInvalid,
    VerificationError,
)
from nodeproof.policy import SignerKind
from nodeproof.sevsnp.bits import GuestPolicy, PlatformInfo
from nodeproof.sevsnp.certificates import Certificate, Role, load_certificates
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.products import Product, identify
from nodeproof.sevsnp.report import Report, parse_report
from nodeproof.sevsnp.roots import AMD_ROOTS
from nodeproof.sevsnp.tcb import MILAN_LAYOUT, decode_tcb
from nodeproof.sevsnp.verify import VerifiedReport, verify

pytestmark = pytest.mark.vectors

REFUSALS: dict[str, type[VerificationError]] = {
    **{f"milan-v2-vcek-invalid-{number}": SignatureInvalid for number in range(1, 6)},
    # A hand-made VCEK: AMD's ASK did not sign it.
    "milan-v2-vcek-invalid-6": ChainInvalid,
}

VECTORS_SEEN = 39


def check(vector: Vector, certificates: list[bytes] | None = None) -> VerifiedReport:
    return verify(
        vector.report,
        vector.certificates if certificates is None else certificates,
        anchors=AMD_ROOTS,
        now=vector.valid_at,
        report_data=bytes.fromhex(vector.about["fields"]["report_data"]),
    )


@pytest.mark.skipif(not genuine.FOLDER.is_dir(), reason=genuine.ABSENT)
def test_all_known_vectors_are_here() -> None:
    assert len(genuine.load_all()) >= VECTORS_SEEN


def test_verdict(vector: Vector) -> None:
    match vector.about["expected"]:
        case "valid":
            claims = check(vector)
            assert claims.product == vector.about["product"]
            assert claims.signer == SignerKind(vector.about["signing_key"])
        case "invalid":
            with pytest.raises(REFUSALS[vector.name]):
                check(vector)
        case _:
            with pytest.raises(EndorsementsMissing):
                check(vector)


def test_fields_are_those_of_the_report(vector: Vector) -> None:
    report, fields = parse_report(vector.report), vector.about["fields"]
    assert numbers(report) == {name: fields.get(name) for name in numbers(report)}
    assert texts(report) == {name: fields[name] for name in texts(report)}


def test_bits_are_those_of_the_report(vector: Vector) -> None:
    report, fields = parse_report(vector.report), vector.about["fields"]
    assert policy_bits(report.policy) == fields["policy_bits"]
    assert platform_bits(report.platform_info) == fields["platform_info_bits"]
    assert report.key_info.signing_key.name == fields["signing_key"]
    assert report.key_info.author_key_en == fields["author_key_en"]
    assert report.key_info.mask_chip_key == fields["mask_chip_key"]


@pytest.mark.parametrize("name", ["current_tcb", "reported_tcb", "committed_tcb", "launch_tcb"])
def test_tcb_versions_are_those_of_the_report(vector: Vector, name: str) -> None:
    report, expected = parse_report(vector.report), dict(vector.about["fields"][name])
    layout = identify(report.cpuid).tcb_layout if report.cpuid else MILAN_LAYOUT
    raw = getattr(report, name)
    assert raw.hex() == expected.pop("raw")
    assert msgspec.structs.asdict(decode_tcb(raw, layout)) == {"fmc": None, **expected}


def test_product_follows_from_the_cpuid(vector: Vector) -> None:
    cpuid, stated = parse_report(vector.report).cpuid, vector.about["fields"]["product_from_cpuid"]
    assert (cpuid is None) == (stated is None)
    # "Genoa(Bergamo/Siena)" is of the product Genoa.
    assert cpuid is None or identify(cpuid).product == stated.partition("(")[0]


def test_certificates_may_come_in_any_order(valid_vector: Vector) -> None:
    assert check(valid_vector, valid_vector.certificates[::-1]).chain == check(valid_vector).chain


def test_a_reissued_vek_verifies_as_well(reissued_vector: Vector) -> None:
    for reissue in reissued_vector.reissues:
        claims = verify(
            reissued_vector.report,
            [reissue, *reissued_vector.certificates[1:]],
            anchors=AMD_ROOTS,
            now=single(reissue).not_before,
            report_data=None,
        )
        assert claims.chain[0] == reissue


def test_evidence_is_refused_after_its_certificates(valid_vector: Vector) -> None:
    end = single(valid_vector.certificates[0]).not_after + timedelta(seconds=1)
    with pytest.raises(ChainInvalid):
        verify(
            valid_vector.report,
            valid_vector.certificates,
            anchors=AMD_ROOTS,
            now=end,
            report_data=None,
        )


def test_no_other_root_makes_it_genuine(valid_vector: Vector) -> None:
    others = [anchor for anchor in AMD_ROOTS if anchor.product != valid_vector.about["product"]]
    with pytest.raises(RootUntrusted):
        verify(
            valid_vector.report,
            valid_vector.certificates,
            anchors=others,
            now=valid_vector.valid_at,
            report_data=None,
        )


def test_the_pinned_roots_are_those_of_amd() -> None:
    if not genuine.FOLDER.is_dir():
        pytest.skip(genuine.ABSENT)
    for anchor in AMD_ROOTS:
        data = (genuine.FOLDER / "certs" / anchor.product.lower() / "ark.pem").read_bytes()
        ark = single(data)
        assert (ark.role, ark.product) == (Role.ARK, anchor.product)
        assert ark.public_key_sha256 == anchor.public_key_sha256
    assert {anchor.product for anchor in AMD_ROOTS} == set(Product)


def test_reads_the_certificate_table_of_a_host(genoa: Vector) -> None:
    certificates = parse_certificate_table(genoa.read("certtable.bin"))
    assert [each.role for each in load_certificates(certificates)] == ["ARK", "ASK", "VCEK"]
    assert check(genoa, list(certificates)).product is Product.GENOA


def test_refuses_the_vcek_of_another_chip(genoa: Vector) -> None:
    other = genuine.load("genoa-v3-vcek-1")
    with pytest.raises(EndorsementMismatch, match="CHIP_ID"):
        check(genoa, other.certificates)


def test_takes_the_vcek_that_fits_among_others(genoa: Vector) -> None:
    others = [genuine.load(f"genoa-v3-vcek-{number}").certificates[0] for number in (1, 2, 4, 5)]
    assert check(genoa, [*others, *genoa.certificates]).chain[0] == genoa.certificates[0]


def test_passes_over_the_chains_of_other_products(genoa: Vector) -> None:
    milan = genuine.load("milan-v5-vcek-1").certificates
    assert check(genoa, [*milan, *genoa.certificates]).product is Product.GENOA


def test_refuses_a_genuine_answer_to_something_else(genoa: Vector) -> None:
    with pytest.raises(ReportDataMismatch):
        verify(
            genoa.report,
            genoa.certificates,
            anchors=AMD_ROOTS,
            now=genoa.valid_at,
            report_data=bytes(64),
        )


def single(certificate: bytes) -> Certificate:
    (loaded,) = load_certificates([certificate])
    assert isinstance(loaded.public_key, EllipticCurvePublicKey) or loaded.role is Role.ARK
    return loaded


def numbers(report: Report) -> dict[str, int | None]:
    return {
        "version": report.version,
        "guest_svn": report.guest_svn,
        "vmpl": report.vmpl,
        "signature_algo": report.signature_algo,
        "cpuid_family": report.cpuid.family if report.cpuid else None,
        "cpuid_model": report.cpuid.model if report.cpuid else None,
        "cpuid_stepping": report.cpuid.stepping if report.cpuid else None,
    }


def texts(report: Report) -> dict[str, str]:
    plain = ("family_id", "image_id", "report_data", "measurement", "host_data", "id_key_digest")
    more = ("author_key_digest", "report_id", "report_id_ma", "chip_id")
    mitigations = {
        name: f"{value:#x}"
        for name in ("launch_mit_vector", "current_mit_vector")
        if (value := getattr(report, name)) is not None
    }
    return {
        **{name: getattr(report, name).hex() for name in (*plain, *more)},
        **mitigations,
        "policy": f"{report.policy.value:#x}",
        "platform_info": f"{report.platform_info.value:#x}",
        "flags": f"{report.key_info.value:#x}",
        "current_version": str(report.current_version),
        "committed_version": str(report.committed_version),
    }


def policy_bits(policy: GuestPolicy) -> dict[str, int]:
    return {
        "abi_minor": policy.abi_minor,
        "abi_major": policy.abi_major,
        "smt_allowed": policy.smt,
        "migrate_ma": policy.migrate_ma,
        "debug": policy.debug,
        "single_socket": policy.single_socket,
        "cxl_allowed": policy.cxl_allow,
        "mem_aes_256_xts": policy.mem_aes_256_xts,
        "rapl_dis": policy.rapl_dis,
        "ciphertext_hiding": policy.ciphertext_hiding_dram,
        "page_swap_disable": policy.page_swap_disable,
    }


def platform_bits(info: PlatformInfo) -> dict[str, bool]:
    return {
        "smt_en": info.smt_en,
        "tsme_en": info.tsme_en,
        "ecc_en": info.ecc_en,
        "rapl_dis": info.rapl_dis,
        "ciphertext_hiding_en": info.ciphertext_hiding_dram_en,
        "alias_check_complete": info.alias_check_complete,
        "tio_en": info.tio_en,
    }
