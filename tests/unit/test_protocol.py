from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof.errors import (
    MessageError,
    MessageMalformed,
    MessageTooLarge,
    ProtocolUnsupported,
)
from nodeproof.protocol import (
    MAX_CERTIFICATE_TABLE_BYTES,
    MAX_REQUEST_BYTES,
    PROTOCOL_VERSION,
    SUPPORTED_VERSIONS,
    ChallengeAnswer,
    ChallengeRequest,
    EvidenceReceipt,
    EvidenceSubmission,
    Refusal,
    decode,
    encode,
)
from nodeproof.sevsnp.certtable import MAX_TABLE_SIZE

SUBMISSION = EvidenceSubmission(
    protocol=PROTOCOL_VERSION,
    challenge=b"challenge",
    boot_id="boot",
    report=bytes(1184),
    certificates=b"table",
)


@pytest.mark.parametrize(
    "message",
    [
        ChallengeRequest(protocol=PROTOCOL_VERSION),
        ChallengeAnswer(challenge=b"challenge"),
        SUBMISSION,
        EvidenceReceipt(sequence=1, next_seconds=300.5),
        Refusal(reason="Overloaded", message="busy", retry_after_seconds=7),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_come_back_as_they_were_sent(message: ChallengeRequest) -> None:
    assert decode(encode(message), type(message)) == message


def test_fields_are_named_as_kubernetes_names_them() -> None:
    assert set(json.loads(encode(SUBMISSION))) == {
        "protocol",
        "challenge",
        "bootID",
        "report",
        "certificates",
    }


def test_certificates_may_be_left_out() -> None:
    body = b'{"protocol":1,"challenge":"","bootID":"","report":""}'
    assert decode(body, EvidenceSubmission).certificates == b""


def test_unknown_fields_of_a_newer_agent_are_ignored() -> None:
    assert decode(b'{"protocol":1,"more":[1]}', ChallengeRequest).protocol == 1


def test_the_largest_submission_fits() -> None:
    largest = EvidenceSubmission(
        protocol=PROTOCOL_VERSION,
        challenge=bytes(4096),
        boot_id="b" * 64,
        report=bytes(1184),
        certificates=bytes(MAX_CERTIFICATE_TABLE_BYTES),
    )
    assert decode(encode(largest), EvidenceSubmission) == largest


def test_refuses_a_body_above_the_limit() -> None:
    with pytest.raises(MessageTooLarge) as caught:
        decode(b" " * (MAX_REQUEST_BYTES + 1), ChallengeRequest)
    assert caught.value.observed == str(MAX_REQUEST_BYTES + 1)


def test_reads_a_body_at_the_limit() -> None:
    body = encode(ChallengeRequest(protocol=PROTOCOL_VERSION))
    assert decode(body, ChallengeRequest, limit=len(body)).protocol == PROTOCOL_VERSION


@pytest.mark.parametrize("version", [0, -1, max(SUPPORTED_VERSIONS) + 1, 10**30])
def test_refuses_a_version_that_is_not_served(version: int) -> None:
    with pytest.raises(MessageError):
        decode(json.dumps({"protocol": version}).encode(), ChallengeRequest)


def test_an_unserved_version_is_told_which_are() -> None:
    with pytest.raises(ProtocolUnsupported) as caught:
        decode(b'{"protocol":2}', ChallengeRequest)
    assert (caught.value.expected, caught.value.observed) == ("one of [1]", "2")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"protocol":"1"}',
        b'{"protocol":1.5}',
        b'{"protocol":true}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"x":' * 10_000,
    ],
    ids=repr,
)
def test_refuses_what_is_no_message(body: bytes) -> None:
    with pytest.raises(MessageMalformed):
        decode(body, ChallengeRequest)


def test_refuses_bytes_that_are_not_base64() -> None:
    with pytest.raises(MessageMalformed):
        decode(b'{"challenge":"%%%"}', ChallengeAnswer)


@given(st.binary(max_size=256))
def test_hostile_bytes_raise_our_errors_only(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode(body, EvidenceSubmission)


def test_a_refusal_omits_what_it_has_not() -> None:
    assert json.loads(encode(Refusal(reason="TokenMissing", message="no token"))) == {
        "reason": "TokenMissing",
        "message": "no token",
    }


def test_the_largest_table_that_is_sent_is_the_largest_that_is_read() -> None:
    assert MAX_CERTIFICATE_TABLE_BYTES == MAX_TABLE_SIZE
