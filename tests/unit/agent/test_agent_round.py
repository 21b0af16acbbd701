from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nodeproof.binding import report_data
from nodeproof.errors import (
    ChallengeMalformed,
    IdentityMismatch,
    MessageMalformed,
)
from nodeproof.protocol import (
    CHALLENGES_PATH,
    EVIDENCE_PATH,
    MAX_CERTIFICATE_TABLE_BYTES,
    MAX_MESSAGE_LENGTH,
    MAX_UNAVAILABILITY_BYTES,
    UNAVAILABLE_PATH,
    ChallengeAnswer,
    encode,
)
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import OperatorRefused, OperatorUnreachable, ProviderFailed
from nodeproof_agent.identity import AgentIdentity
from nodeproof_agent.round import MAX_CHALLENGES, MAX_SUBMISSIONS, Round
from unit.agent.agent_standins import (
    INTERVAL,
    NO_DEVICE,
    FakeOperator,
    FakeProvider,
    Responder,
    another,
    answer,
    hang_up,
    no_device,
    overwrite,
    receipt,
    refuse,
    token_of,
)

SUPERSEDED = refuse(409, "ChallengeSuperseded")


async def test_answers_a_challenge(one_round: Round) -> None:
    assert await one_round.attest() == receipt()


async def test_submits_what_the_platform_gave(one_round: Round, operator: FakeOperator) -> None:
    await one_round.attest()
    [submission] = operator.submissions
    asked = report_data(submission.challenge, "boot-1")
    assert submission.boot_id == "boot-1"
    assert submission.report == bytes(0x50) + asked + bytes(1184 - 0x90)
    assert submission.certificates == b"certificate table"


@pytest.mark.parametrize(
    "subject",
    [
        another(node_uid="node-uid-2"),
        another(node_name="node-2"),
        another(pod_uid="pod-uid-2"),
    ],
    ids=["other node uid", "other node name", "other pod"],
)
async def test_never_signs_for_another(
    one_round: Round, operator: FakeOperator, provider: FakeProvider, subject: AgentIdentity
) -> None:
    operator.subject = subject
    with pytest.raises(IdentityMismatch):
        await one_round.attest()
    assert provider.asked == []
    assert operator.paths == [CHALLENGES_PATH]


async def test_does_not_sign_what_is_no_challenge(
    one_round: Round, operator: FakeOperator, provider: FakeProvider
) -> None:
    operator.once(CHALLENGES_PATH, answer(encode(ChallengeAnswer(challenge=bytes(100)))))
    with pytest.raises(ChallengeMalformed):
        await one_round.attest()
    assert provider.asked == []


async def test_says_that_the_platform_failed(
    one_round: Round, operator: FakeOperator, provider: FakeProvider
) -> None:
    provider.fault = NO_DEVICE
    with pytest.raises(ProviderFailed, match="expected /dev/sev-guest"):
        await one_round.attest()
    assert operator.submissions == []


async def test_does_not_submit_a_report_over_other_data(
    one_round: Round, operator: FakeOperator, provider: FakeProvider
) -> None:
    provider.signs = bytes(64)
    with pytest.raises(ProviderFailed) as caught:
        await one_round.attest()
    assert caught.value.cause is Cause.REPORT_MALFORMED
    assert operator.submissions == []


async def test_does_not_submit_half_a_report(
    one_round: Round, operator: FakeOperator, provider: FakeProvider
) -> None:
    provider.size = 1183
    with pytest.raises(ProviderFailed, match="observed 1183 bytes"):
        await one_round.attest()
    assert operator.submissions == []


async def test_does_not_submit_an_oversized_certificate_table(
    one_round: Round, operator: FakeOperator, provider: FakeProvider
) -> None:
    provider.certificates = bytes(MAX_CERTIFICATE_TABLE_BYTES + 1)
    with pytest.raises(ProviderFailed, match="expected at most 65536 bytes") as caught:
        await one_round.attest()
    assert caught.value.cause is Cause.CERTIFICATES_TOO_LARGE
    assert operator.submissions == []


@pytest.mark.parametrize("cause", Cause)
async def test_tells_the_operator_why_there_is_no_evidence(
    one_round: Round, operator: FakeOperator, provider: FakeProvider, cause: Cause
) -> None:
    provider.fault = no_device(cause)
    with pytest.raises(ProviderFailed):
        await one_round.attest()
    [excuse] = operator.excuses
    assert operator.tokens[-1] == (UNAVAILABLE_PATH, token_of())
    assert excuse.cause == cause
    assert excuse.message == "there is no device (expected /dev/sev-guest)"


async def test_tells_no_more_than_an_operator_reads(
    one_round: Round, operator: FakeOperator, provider: FakeProvider
) -> None:
    provider.fault = ProviderFailed("\x00" * 5000, cause=Cause.FIRMWARE_ERROR)
    with pytest.raises(ProviderFailed):
        await one_round.attest()
    [excuse] = operator.excuses
    assert len(excuse.message) == MAX_MESSAGE_LENGTH
    assert len(encode(excuse)) <= MAX_UNAVAILABILITY_BYTES


async def test_keeps_when_the_operator_wants_it_to_look_again(
    one_round: Round, provider: FakeProvider
) -> None:
    provider.fault = no_device()
    with pytest.raises(ProviderFailed) as caught:
        await one_round.attest()
    assert (caught.value.next_seconds, caught.value.retry_after_seconds) == (INTERVAL, None)


@pytest.mark.parametrize(
    "response",
    [
        hang_up,
        answer(b"<html>", status=502),
        answer(b"not a message"),
        refuse(404, "NotFound"),
        refuse(400, "CauseUnknown"),
    ],
    ids=["no answer", "error page", "nonsense", "older operator", "older words"],
)
async def test_says_what_is_wrong_with_the_platform_whatever_the_operator_answers(
    one_round: Round, operator: FakeOperator, provider: FakeProvider, response: Responder
) -> None:
    operator.once(UNAVAILABLE_PATH, response)
    provider.fault = no_device(Cause.KEY_DISABLED)
    with capture_logs() as logs, pytest.raises(ProviderFailed) as caught:
        await one_round.attest()
    assert caught.value.cause is Cause.KEY_DISABLED
    assert (caught.value.next_seconds, caught.value.retry_after_seconds) == (None, None)
    assert [each["event"] for each in logs] == [
        "the operator could not be told why there is no evidence"
    ]


async def test_comes_no_earlier_than_an_operator_asks_that_is_too_busy_to_be_told(
    one_round: Round, operator: FakeOperator, provider: FakeProvider
) -> None:
    operator.once(UNAVAILABLE_PATH, refuse(429, "RateLimited", header="17"))
    provider.fault = no_device(Cause.FIRMWARE_BUSY)
    with pytest.raises(ProviderFailed) as caught:
        await one_round.attest()
    assert (caught.value.next_seconds, caught.value.retry_after_seconds) == (None, 17)


async def test_makes_no_excuses_for_what_the_operator_refused(
    one_round: Round, operator: FakeOperator
) -> None:
    operator.once(EVIDENCE_PATH, refuse(422, "SignatureInvalid"))
    with pytest.raises(OperatorRefused):
        await one_round.attest()
    assert operator.excuses == []


async def test_submits_the_same_again_when_the_answer_is_lost(
    one_round: Round, operator: FakeOperator, provider: FakeProvider
) -> None:
    operator.once(EVIDENCE_PATH, hang_up, hang_up)
    assert await one_round.attest() == receipt()
    assert operator.submissions == [operator.submissions[0]] * 3
    assert len(provider.asked) == 1


async def test_gives_up_when_every_answer_is_lost(one_round: Round, operator: FakeOperator) -> None:
    operator.once(EVIDENCE_PATH, *[hang_up] * MAX_SUBMISSIONS)
    with pytest.raises(OperatorUnreachable):
        await one_round.attest()
    assert len(operator.submissions) == MAX_SUBMISSIONS


async def test_waits_longer_and_longer_between_submissions(
    one_round: Round, operator: FakeOperator
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    operator.once(EVIDENCE_PATH, hang_up, hang_up)
    await replace(one_round, sleep=sleep).attest()
    assert waits == [1.0, 2.0]


async def test_asks_for_a_new_challenge_when_the_old_is_superseded(
    one_round: Round, operator: FakeOperator
) -> None:
    operator.once(EVIDENCE_PATH, SUPERSEDED)
    assert await one_round.attest() == receipt()
    first, second = operator.submissions
    assert first.challenge != second.challenge


async def test_asks_for_new_challenges_only_so_often(
    one_round: Round, operator: FakeOperator
) -> None:
    operator.once(EVIDENCE_PATH, *[SUPERSEDED] * MAX_CHALLENGES)
    with pytest.raises(OperatorRefused):
        await one_round.attest()
    assert operator.paths == [CHALLENGES_PATH, EVIDENCE_PATH] * MAX_CHALLENGES


async def test_does_not_repeat_what_was_refused(one_round: Round, operator: FakeOperator) -> None:
    operator.once(EVIDENCE_PATH, refuse(422, "SignatureInvalid"))
    with pytest.raises(OperatorRefused):
        await one_round.attest()
    assert operator.paths == [CHALLENGES_PATH, EVIDENCE_PATH]


async def test_does_not_repeat_what_was_answered_with_nonsense(
    one_round: Round, operator: FakeOperator
) -> None:
    operator.once(EVIDENCE_PATH, answer(b"{}"))
    with pytest.raises(MessageMalformed):
        await one_round.attest()
    assert len(operator.submissions) == 1


async def test_uses_one_token_for_the_whole_round(
    one_round: Round, operator: FakeOperator, provider: FakeProvider, token_file: Path
) -> None:
    provider.before = lambda: overwrite(token_file, token_of(signature="bmV3"))
    await one_round.attest()
    assert operator.tokens == [(CHALLENGES_PATH, token_of()), (EVIDENCE_PATH, token_of())]


async def test_picks_up_a_token_that_was_replaced(
    one_round: Round, operator: FakeOperator, token_file: Path
) -> None:
    operator.once(CHALLENGES_PATH, refuse(401, "TokenRejected"))
    with pytest.raises(OperatorRefused):
        await one_round.attest()
    overwrite(token_file, token_of(signature="bmV3"))
    assert await one_round.attest() == receipt()
    assert operator.tokens[-1] == (EVIDENCE_PATH, token_of(signature="bmV3"))
