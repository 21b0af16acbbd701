from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof.errors import (
    CauseUnknown,
    MessageError,
    MessageMalformed,
    MessageTooLarge,
    ProtocolUnsupported,
    printable,
)
from nodeproof.protocol import (
    MAX_CAUSE_LENGTH,
    MAX_CERTIFICATE_TABLE_BYTES,
    MAX_MESSAGE_LENGTH,
    MAX_REQUEST_BYTES,
    MAX_UNAVAILABILITY_BYTES,
    PROTOCOL_VERSION,
    SUPPORTED_VERSIONS,
    ChallengeAnswer,
    ChallengeRequest,
    EvidenceReceipt,
    EvidenceSubmission,
    Refusal,
    Unavailability,
    UnavailabilityReceipt,
    decode,
    encode,
)
from nodeproof.result import MAX_FACT_LENGTH
from nodeproof.sevsnp.certtable import MAX_TABLE_SIZE
from nodeproof.unavailability import Cause

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
        Unavailability(protocol=PROTOCOL_VERSION, cause="KeyDisabled", message="no key"),
        UnavailabilityReceipt(next_seconds=300.5),
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


def test_the_largest_word_on_missing_evidence_fits() -> None:
    largest = Unavailability(PROTOCOL_VERSION, "C" * MAX_CAUSE_LENGTH, "\x00" * MAX_MESSAGE_LENGTH)
    body = encode(largest)
    assert decode(body, Unavailability, limit=MAX_UNAVAILABILITY_BYTES) == largest


def test_what_is_said_of_missing_evidence_is_what_a_status_holds() -> None:
    assert MAX_MESSAGE_LENGTH == MAX_FACT_LENGTH


@pytest.mark.parametrize(
    "fields",
    [
        {"cause": "C" * (MAX_CAUSE_LENGTH + 1)},
        {"cause": "NoPlatform", "message": "x" * (MAX_MESSAGE_LENGTH + 1)},
        {"cause": 1},
        {},
    ],
    ids=["cause too long", "message too long", "no word", "no cause"],
)
def test_refuses_a_word_on_missing_evidence_out_of_bounds(fields: dict[str, object]) -> None:
    with pytest.raises(MessageMalformed):
        decode(json.dumps({"protocol": 1, **fields}).encode(), Unavailability)


def test_refuses_a_word_on_missing_evidence_in_a_version_that_is_not_served() -> None:
    with pytest.raises(ProtocolUnsupported):
        decode(b'{"protocol":2,"cause":"NoPlatform"}', Unavailability)


@pytest.mark.parametrize("cause", Cause)
def test_knows_every_cause(cause: Cause) -> None:
    assert Unavailability(PROTOCOL_VERSION, str(cause)).known_cause() is cause


@pytest.mark.parametrize("word", ["", "noplatform", "NO_PLATFORM", "WordOfALaterRelease", "x\x1b"])
def test_a_cause_that_is_not_known_is_told_which_are(word: str) -> None:
    with pytest.raises(CauseUnknown) as caught:
        Unavailability(PROTOCOL_VERSION, word).known_cause()
    assert "NoPlatform, InterfaceNotMounted" in caught.value.expected
    assert caught.value.observed == printable(word)


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
    ("version", "who"), [(0, "bring the agent to"), (2, "bring the operator to")]
)
def test_an_unserved_version_is_told_whose_turn_it_is(version: int, who: str) -> None:
    with pytest.raises(ProtocolUnsupported) as caught:
        decode(json.dumps({"protocol": version}).encode(), ChallengeRequest)
    assert who in caught.value.message


@pytest.mark.parametrize("kind", [EvidenceSubmission, Unavailability])
def test_a_request_of_another_version_is_told_so_however_it_looks(
    kind: type[EvidenceSubmission],
) -> None:
    with pytest.raises(ProtocolUnsupported):
        decode(b'{"protocol":2,"quote":"another shape"}', kind)


def test_an_operator_serves_its_own_version_and_the_one_before() -> None:
    served = {PROTOCOL_VERSION - 1, PROTOCOL_VERSION} - {0}
    assert served == SUPPORTED_VERSIONS


@pytest.mark.parametrize(
    "message",
    [
        ChallengeRequest(protocol=PROTOCOL_VERSION),
        SUBMISSION,
        Unavailability(protocol=PROTOCOL_VERSION, cause="KeyDisabled"),
        ChallengeAnswer(challenge=b"challenge"),
        EvidenceReceipt(sequence=1, next_seconds=300.5),
        UnavailabilityReceipt(next_seconds=300.5),
        Refusal(reason="Overloaded", message="busy"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_members_that_a_later_release_adds_are_ignored_both_ways(message: Refusal) -> None:
    extended = json.loads(encode(message)) | {"added": {"by": ["a later release"]}}
    assert decode(json.dumps(extended).encode(), type(message)) == message


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
