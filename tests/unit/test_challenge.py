from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from nodeproof import challenge
from nodeproof.challenge import (
    CLOCK_SKEW,
    DOMAIN,
    LIFE,
    MAX_SIZE,
    SIGNATURE_SIZE,
    Challenge,
    Subject,
    check_life,
    check_subject,
    key_id,
    mint,
    open_signed,
    read,
    token_digest,
)
from nodeproof.errors import (
    ChallengeError,
    ChallengeExpired,
    ChallengeForged,
    ChallengeMalformed,
    IdentityMismatch,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
SUBJECT = Subject(
    cluster_uid="cluster",
    node_name="node-1",
    node_uid="node-uid",
    pod_uid="pod-uid",
    token_digest=token_digest("token"),
)
CHALLENGE = Challenge(
    key_id=key_id(KEY.public_key()),
    nonce=bytes(range(32)),
    issued_time=NOW,
    subject=SUBJECT,
    node_attestation_uid="attestation-uid",
    sequence=7,
)


def test_comes_back_as_it_was_issued() -> None:
    assert open_signed(mint(CHALLENGE, KEY), KEYS) == CHALLENGE


def test_the_agent_reads_it_without_any_key() -> None:
    assert read(mint(CHALLENGE, OTHER_KEY)) == CHALLENGE


def test_refuses_the_signature_of_another_key() -> None:
    with pytest.raises(ChallengeForged):
        open_signed(mint(CHALLENGE, OTHER_KEY), KEYS)


def test_refuses_a_key_that_is_not_this_clusters() -> None:
    foreign = msgspec.structs.replace(CHALLENGE, key_id=key_id(OTHER_KEY.public_key()))
    with pytest.raises(ChallengeForged):
        open_signed(mint(foreign, OTHER_KEY), KEYS)


def test_refuses_a_key_that_has_been_retired() -> None:
    with pytest.raises(ChallengeForged):
        open_signed(mint(CHALLENGE, KEY), {})


def test_refuses_a_signature_without_the_domain() -> None:
    payload = msgspec.json.encode(CHALLENGE)
    with pytest.raises(ChallengeForged):
        open_signed(payload + KEY.sign(payload), KEYS)


@given(st.integers(min_value=0), st.integers(0, 7))
def test_refuses_any_flipped_bit(position: int, bit: int) -> None:
    data = bytearray(mint(CHALLENGE, KEY))
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(ChallengeError):
        open_signed(bytes(data), KEYS)


@given(st.binary(max_size=512))
def test_hostile_bytes_raise_our_error_only(data: bytes) -> None:
    with pytest.raises(ChallengeMalformed):
        read(data)


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_hostile_json_raises_our_error_only(value: object) -> None:
    with pytest.raises(ChallengeMalformed):
        read(msgspec.json.encode(value) + bytes(SIGNATURE_SIZE))


def test_deep_nesting_raises_our_error_only() -> None:
    with pytest.raises(ChallengeMalformed):
        read(b'{"a":' + b"[" * 3000 + b"]" * 900 + bytes(SIGNATURE_SIZE))


@pytest.mark.parametrize("size", [0, SIGNATURE_SIZE, MAX_SIZE + 1])
def test_refuses_an_impossible_size_before_decoding(size: int) -> None:
    with pytest.raises(ChallengeMalformed, match="impossible size"):
        read(b" " * size)


def test_refuses_a_short_nonce() -> None:
    with pytest.raises(ChallengeMalformed):
        read(mint(msgspec.structs.replace(CHALLENGE, nonce=bytes(31)), KEY))


def test_refuses_a_time_without_zone() -> None:
    naive = msgspec.structs.replace(CHALLENGE, issued_time=NOW.replace(tzinfo=None))
    with pytest.raises(ChallengeMalformed):
        read(mint(naive, KEY))


def test_the_largest_identities_still_fit() -> None:
    subject = msgspec.structs.replace(SUBJECT, node_name="n" * 253, cluster_uid="c" * 64)
    assert len(mint(msgspec.structs.replace(CHALLENGE, subject=subject), KEY)) < MAX_SIZE


@pytest.mark.parametrize("age", [-CLOCK_SKEW, timedelta(0), LIFE])
def test_counts_within_its_life(age: timedelta) -> None:
    check_life(CHALLENGE, NOW + age)


@pytest.mark.parametrize(
    "age", [LIFE + timedelta(microseconds=1), -CLOCK_SKEW - timedelta(microseconds=1)]
)
def test_expires(age: timedelta) -> None:
    with pytest.raises(ChallengeExpired):
        check_life(CHALLENGE, NOW + age)


def test_an_expired_challenge_says_its_age() -> None:
    with pytest.raises(ChallengeExpired) as caught:
        check_life(CHALLENGE, NOW + timedelta(seconds=300))
    assert (caught.value.expected, caught.value.observed) == ("an answer within 120 s", "300 s")


def test_accepts_its_own_subject() -> None:
    check_subject(CHALLENGE, msgspec.structs.replace(SUBJECT))


@pytest.mark.parametrize("field", ["cluster_uid", "node_name", "node_uid", "pod_uid"])
def test_refuses_another_subject(field: str) -> None:
    other = msgspec.structs.replace(SUBJECT, **{field: "another"})
    with pytest.raises(IdentityMismatch) as caught:
        check_subject(CHALLENGE, other)
    assert caught.value.observed == "another"


def test_refuses_another_token() -> None:
    other = msgspec.structs.replace(SUBJECT, token_digest=token_digest("other token"))
    with pytest.raises(IdentityMismatch):
        check_subject(CHALLENGE, other)


def test_a_token_mismatch_does_not_show_digests() -> None:
    other = msgspec.structs.replace(SUBJECT, token_digest=token_digest("other token"))
    with pytest.raises(IdentityMismatch) as caught:
        check_subject(CHALLENGE, other)
    assert (caught.value.expected, caught.value.observed) == ("", "")


def test_keys_have_distinct_ids() -> None:
    assert key_id(KEY.public_key()) != key_id(OTHER_KEY.public_key())


def test_the_domain_ends_where_no_json_can_go_on() -> None:
    assert DOMAIN.endswith(b"\x00")
    assert challenge.mint(CHALLENGE, KEY).startswith(b"{")
