"""AMD's own revocation lists; none names a certificate in use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from fakes import genuine
from nodeproof.errors import RevocationUnknown, SignerRevoked
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.chain import Chain
from nodeproof.sevsnp.crl import Revocation, RevocationList, check_revocation, load_crl
from nodeproof.sevsnp.roots import AMD_ROOTS
from nodeproof.sevsnp.verify import VerifiedReport, verify

pytestmark = [
    pytest.mark.vectors,
    pytest.mark.skipif(not genuine.FOLDER.is_dir(), reason=genuine.ABSENT),
]

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A list, and a report whose certificates are in force while the list is."""

    product: str
    file: str
    vector: str
    revoked: frozenset[int] = frozenset()

    @property
    def data(self) -> bytes:
        return (genuine.FOLDER / "certs" / self.product / self.file).read_bytes()

    @property
    def crl(self) -> RevocationList:
        return load_crl(self.data)


CASES = [
    Case("milan", "crl-vcek-2025.der", "milan-v3-vcek-1"),
    Case("milan", "crl-vcek-2026.der", "milan-v3-vcek-1"),
    Case("genoa", "crl-vcek-2024.der", "genoa-v3-vcek-3", frozenset({0x20001})),
    Case("turin", "crl-vcek-2026.der", "turin-v5-vcek-1"),
]


def check(case: Case, now: datetime, crl: bytes | None = None) -> VerifiedReport:
    vector = genuine.load(case.vector)
    return verify(
        vector.report,
        [*vector.certificates, *vector.reissues],
        anchors=AMD_ROOTS,
        now=now,
        report_data=None,
        revocation=Revocation((case.data if crl is None else crl,), required=True),
    )


def in_force(case: Case) -> datetime:
    """Return the last moment of a list, by when the certificates of its report are in force."""
    end = case.crl.next_update
    assert end is not None
    return end


@pytest.fixture(params=CASES, ids=lambda case: f"{case.product}-{case.file}")
def case(request: pytest.FixtureRequest) -> Case:
    chosen = request.param
    assert isinstance(chosen, Case)
    return chosen


def test_names_what_amd_revoked(case: Case) -> None:
    assert case.crl.serials == case.revoked


def test_clears_the_signer(case: Case) -> None:
    used = check(case, in_force(case)).crl
    assert used is not None
    assert used.der == case.data


def test_tells_nothing_after_its_time(case: Case) -> None:
    with pytest.raises(RevocationUnknown, match="not in force"):
        check(case, in_force(case) + SECOND)


def test_tells_nothing_without_its_signature(case: Case) -> None:
    with pytest.raises(RevocationUnknown, match="signature"):
        check(case, in_force(case), case.data[:-512] + bytes(512))


def test_tells_nothing_of_another_product(case: Case) -> None:
    other = next(each for each in CASES if each.product != case.product)
    with pytest.raises(RevocationUnknown, match="1 of others"):
        check(case, in_force(case), other.data)


def test_refuses_the_ask_of_genoa_that_amd_withdrew() -> None:
    """The certificate itself is not public: the one in use stands in, with its number."""
    vek, ask, ark = load_certificates(genuine.load("genoa-v3-vcek-3").certificates)
    chain = Chain(vek, replace(ask, serial=0x20001), ark, AMD_ROOTS[1])
    genoa = CASES[2]
    with pytest.raises(SignerRevoked, match="0x20001"):
        check_revocation(chain, Revocation((genoa.data,), required=True), in_force(genoa))


def test_a_flipped_bit_leaves_no_list_usable(case: Case) -> None:
    now, data = in_force(case), case.data
    usable = []
    for bit in range(0, 8 * len(data), 7):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            check(case, now, bytes(changed))
            usable.append(bit)
        except RevocationUnknown:
            pass
    assert usable == []
