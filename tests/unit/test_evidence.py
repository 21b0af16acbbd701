from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fakes import simulated
from nodeproof.binding import report_data
from nodeproof.challenge import Challenge, Subject, key_id, mint
from nodeproof.errors import (
    ChallengeForged,
    ChallengeMalformed,
    IdentityMismatch,
    ReportDataMismatch,
    ReportMalformed,
    RootUntrusted,
    SignerRevoked,
)
from nodeproof.evidence import Holder, VerifiedEvidence, check_answers, verify_stored
from nodeproof.policy import SignerKind
from nodeproof.result import StoredEvidence
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.crl import Revocation
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import AMD_ROOTS

KEY = Ed25519PrivateKey.generate()
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
HOLDER = Holder("cluster", "node-a", "node-uid", "record-uid")
MACHINE = simulated.machine(Product.MILAN)
ANCHORS = (simulated.authority(Product.MILAN).anchor(),)


def challenge(**changes: object) -> Challenge:
    asked = Challenge(
        key_id=key_id(KEY.public_key()),
        nonce=bytes(32),
        issued_time=simulated.NOW,
        subject=Subject("cluster", "node-a", "node-uid", "pod-uid", bytes(32)),
        node_attestation_uid="record-uid",
        sequence=4,
    )
    return msgspec.structs.replace(asked, **changes)


def evidence(asked: Challenge | None = None, **changes: object) -> StoredEvidence:
    data = mint(asked or challenge(), KEY)
    stored = StoredEvidence(
        sequence=5,
        challenge=data,
        boot_id=MACHINE.boot_id,
        report=MACHINE.attest(report_data(data, MACHINE.boot_id)),
        certificates=MACHINE.processor.certificates,
    )
    return msgspec.structs.replace(stored, **changes)


def verified(stored: StoredEvidence, holder: Holder = HOLDER) -> VerifiedEvidence:
    return verify_stored(stored, holder, KEYS, ANCHORS)


def test_proves_what_the_hardware_signed() -> None:
    proof = verified(evidence())
    assert proof.claims.report.measurement == MACHINE.measurement
    assert proof.claims.signer is SignerKind.SIMULATED


def test_its_age_counts_from_the_challenge() -> None:
    assert verified(evidence()).expiration_time(900) == simulated.NOW + timedelta(seconds=900)


def test_never_lives_longer_than_it_may() -> None:
    late = simulated.NOW + timedelta(microseconds=999_999)
    end = verified(evidence(challenge(issued_time=late))).expiration_time(900)
    assert late + timedelta(seconds=899) < end <= late + timedelta(seconds=900)


@pytest.mark.parametrize(
    "holder",
    [
        Holder("another", "node-a", "node-uid", "record-uid"),
        Holder("cluster", "another", "node-uid", "record-uid"),
        Holder("cluster", "node-a", "another", "record-uid"),
        Holder("cluster", "node-a", "node-uid", "another"),
    ],
)
def test_belongs_to_one_registration_of_one_node(holder: Holder) -> None:
    with pytest.raises(IdentityMismatch, match="another"):
        verified(evidence(), holder)


@pytest.mark.parametrize("sequence", [4, 6])
def test_has_the_sequence_after_its_challenges(sequence: int) -> None:
    with pytest.raises(IdentityMismatch, match="sequence"):
        verified(evidence(sequence=sequence))


def test_refuses_a_challenge_that_nobody_of_us_signed() -> None:
    with pytest.raises(ChallengeForged):
        verify_stored(evidence(), HOLDER, {}, ANCHORS)


def test_refuses_a_challenge_that_is_none() -> None:
    with pytest.raises(ChallengeMalformed):
        verified(evidence(challenge=b"{}"))


def test_refuses_the_report_of_another_boot() -> None:
    with pytest.raises(ReportDataMismatch):
        verified(evidence(boot_id="another"))


def test_refuses_the_report_over_another_challenge() -> None:
    other = evidence(challenge(nonce=bytes([1]) * 32))
    with pytest.raises(ReportDataMismatch):
        verified(evidence(report=other.report))


def test_a_simulated_root_counts_only_if_it_is_pinned() -> None:
    with pytest.raises(RootUntrusted):
        verify_stored(evidence(), HOLDER, KEYS, AMD_ROOTS)


def serial_of_the_intermediate(stored: StoredEvidence) -> int:
    return load_certificates(stored.certificates[1:2])[0].serial


def test_a_signer_that_was_revoked_since_does_not_count() -> None:
    stored, later = evidence(), simulated.NOW + timedelta(days=2)
    crl = simulated.authority().issue_crl(later, [serial_of_the_intermediate(stored)])
    with pytest.raises(SignerRevoked):
        verify_stored(stored, HOLDER, KEYS, ANCHORS, Revocation((crl,), in_force_at=later))


def test_the_list_of_today_vouches_for_evidence_of_a_while_ago() -> None:
    later = simulated.NOW + timedelta(days=2)
    lists = (simulated.authority().issue_crl(later),)
    today = Revocation(lists, required=True, in_force_at=later)
    proof = verify_stored(evidence(), HOLDER, KEYS, ANCHORS, today)
    assert proof.claims.crl is not None
    assert proof.claims.crl.this_update > simulated.NOW


def test_a_report_answers_its_challenge_whoever_signed_it() -> None:
    stored = evidence()
    check_answers(stored.report, stored.challenge, stored.boot_id)


def test_a_report_of_another_boot_answers_something_else() -> None:
    stored = evidence()
    with pytest.raises(ReportDataMismatch, match="whoever signed it"):
        check_answers(stored.report, stored.challenge, "another")


def test_bytes_that_are_no_report_answer_nothing() -> None:
    with pytest.raises(ReportMalformed):
        check_answers(b"", evidence().challenge, "boot")
