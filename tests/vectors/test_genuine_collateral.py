"""What each genuine report asks AMD's service for, and whether the answers are kept."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fakes import genuine
from fakes.genuine import Vector
from nodeproof.sevsnp.certificates import INTERMEDIATES, Role, load_certificates
from nodeproof.sevsnp.collateral import check_ca, check_crl, check_item, check_vcek, classify
from nodeproof.sevsnp.kds import CAName, CRLName, ca_names, vcek_name, vcek_names
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import AMD_ROOTS

pytestmark = pytest.mark.vectors

CRLS = {
    "milan/crl-vcek-2026.der": datetime(2026, 7, 1, tzinfo=UTC),
    "genoa/crl-vcek-2024.der": datetime(2025, 1, 1, tzinfo=UTC),
    "turin/crl-vcek-2026.der": datetime(2026, 9, 1, tzinfo=UTC),
}
"""Genuine lists, each with a time at which it is in force."""


def test_a_report_asks_for_the_vek_of_its_folder(valid_vector: Vector) -> None:
    (vek,) = load_certificates(valid_vector.certificates[:1])
    names = vcek_names(valid_vector.report)
    if vek.role is Role.VLEK:
        assert names == ()
        return
    assert vcek_name(vek) in names
    kept = check_vcek(
        vcek_name(vek),
        valid_vector.certificates[0],
        valid_vector.certificates[1:],
        AMD_ROOTS,
        valid_vector.valid_at,
    )
    assert kept == vek.der


def test_a_report_asks_for_the_chain_of_its_folder(valid_vector: Vector) -> None:
    vek, intermediate, root = load_certificates(valid_vector.certificates)
    name = CAName(vek.product, INTERMEDIATES[vek.role])
    assert name in ca_names(valid_vector.report)
    chain = b"".join(valid_vector.certificates[1:])
    kept = check_ca(name, chain, AMD_ROOTS, valid_vector.valid_at)
    assert kept == (intermediate.der, root.der)


def test_each_certificate_of_a_folder_may_be_kept(valid_vector: Vector) -> None:
    for data in valid_vector.certificates:
        (item,) = classify(data)
        check_item(item, valid_vector.certificates[1:], AMD_ROOTS, valid_vector.valid_at)


@pytest.mark.parametrize("file", CRLS)
@pytest.mark.parametrize("intermediate", [Role.ASK, Role.ASVK])
def test_a_genuine_list_may_be_kept(file: str, intermediate: Role) -> None:
    if not genuine.FOLDER.is_dir():
        pytest.skip(genuine.ABSENT)
    data = (genuine.FOLDER / "certs" / file).read_bytes()
    root = (genuine.FOLDER / "certs" / file).with_name("ark.pem").read_bytes()
    (item,) = classify(data)
    name = CRLName(Product(item.product), intermediate)
    assert check_crl(name, data, [root], AMD_ROOTS, CRLS[file]).der == data
