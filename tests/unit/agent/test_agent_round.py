from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nodeproof.binding import report_data
from nodeproof.errors import (
    ChallengeMalformed,
    IdentityMismatch,
    MessageMalformed,
    ReportDataMismatch,
)
from nodeproof.protocol import (
    CHALLENGES_PATH,
    EVIDENCE_PATH,
    MAX_CERTIFICATE_TABLE_BYTES,
    ChallengeAnswer,
    encode,
)
from nodeproof_agent.errors import OperatorRefused, OperatorUnreachable, ProviderFailed
from nodeproof_agent.identity import AgentIdentity
from nodeproof_agent.round import MAX_CHALLENGES, MAX_SUBMISSIONS, Round
from unit.agent.agent_standins import (
    NO_DEVICE,
    FakeOperator,
    FakeProvider,
    another,
    answer,
    hang_up,
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
    with pytest.raises(ReportDataMismatch):
        await one_round.attest()
    assert operator.submissions == []


async def test_does_not_submit_an_oversized_certificate_table(
    one_round: Round, operator: FakeOperator, provider: FakeProvider
) -> None:
    provider.certificates = bytes(MAX_CERTIFICATE_TABLE_BYTES + 1)
    with pytest.raises(ProviderFailed, match="expected at most 65536 bytes"):
        await one_round.attest()
    assert operator.submissions == []


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
