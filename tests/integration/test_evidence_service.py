"""What the real evidence service answers to bad input, on the real API server."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cases.challenge_keys import attest_slowly
from fakes.simulated import report
from nodeproof import challenge as challenges
from nodeproof.binding import report_data
from nodeproof.protocol import EVIDENCE_PATH, MAX_MESSAGE_LENGTH, MAX_REQUEST_BYTES
from nodeproof.sevsnp.products import CPUID
from nodeproof.unavailability import Cause
from nodeproof_dev.attester import Answer, EvidenceClient, HandDrivenAttester
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.objects import attestation, node

NewAttester = Callable[..., HandDrivenAttester]
AGENTS = "/api/v1/namespaces/nodeproof-agents"
SYSTEM = "/api/v1/namespaces/nodeproof-system"


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.reason


def test_takes_genuine_evidence(attester: NewAttester, plane: ControlPlane) -> None:
    one = attester()
    answer = one.attest()
    assert answer.status == 200
    evidence = plane.admin.get(attestation(one.name))["status"]["evidence"]
    assert evidence["sequence"] == answer.body["sequence"] == 1
    assert b64decode(evidence["report"])[0x50:0x90] == report_data(
        b64decode(evidence["challenge"]), one.machine.boot_id
    )


@pytest.mark.parametrize("cause", Cause)
def test_keeps_why_an_agent_has_no_evidence_until_it_has_some(
    attester: NewAttester, plane: ControlPlane, cause: Cause
) -> None:
    one = attester()
    assert one.excuse(cause, "x" * MAX_MESSAGE_LENGTH).status == 200
    said = plane.admin.get(attestation(one.name))["status"]["unavailable"]
    assert (said["cause"], len(said["message"])) == (cause, MAX_MESSAGE_LENGTH)
    assert one.attest().status == 200
    assert "unavailable" not in plane.admin.get(attestation(one.name))["status"]


def test_lets_nobody_else_speak_for_an_agent(attester: NewAttester, plane: ControlPlane) -> None:
    one = attester()
    token = _account_token(plane, "nodeproof-agent", audience="nodeproof")
    assert refused(one.excuse("KeyDisabled", token=token)) == (403, "NotTheAgent")


def test_tells_which_causes_it_knows(attester: NewAttester) -> None:
    assert refused(attester().excuse("WordOfALaterRelease")) == (400, "CauseUnknown")


def test_gives_no_challenge_without_a_token(attester: NewAttester) -> None:
    assert refused(attester().ask(token="")) == (401, "TokenMissing")


def test_refuses_a_token_that_is_none(attester: NewAttester) -> None:
    assert refused(attester().ask(token="a.b.c")) == (401, "TokenRejected")


def test_refuses_a_token_of_another_audience(attester: NewAttester, plane: ControlPlane) -> None:
    token = _account_token(plane, "nodeproof-agent", audience="somebody-else")
    assert refused(attester().ask(token)) == (401, "TokenRejected")


def test_refuses_a_token_of_another_service_account(
    attester: NewAttester, plane: ControlPlane
) -> None:
    token = _account_token(plane, "nodeproof-operator", audience="nodeproof", home=SYSTEM)
    assert refused(attester().ask(token)) == (403, "NotTheAgent")


def test_refuses_a_token_that_is_bound_to_no_pod(
    attester: NewAttester, plane: ControlPlane
) -> None:
    token = _account_token(plane, "nodeproof-agent", audience="nodeproof")
    assert refused(attester().ask(token)) == (403, "NotTheAgent")


def test_refuses_a_pod_that_is_not_the_daemon_sets(
    attester: NewAttester, plane: ControlPlane
) -> None:
    one = attester()
    impostor = _impostor_pod(plane, one.name)
    token = _account_token(plane, "nodeproof-agent", audience="nodeproof", pod=impostor)
    assert refused(one.ask(token)) == (403, "PodUnknown")


def test_refuses_an_answer_under_another_nodes_token(attester: NewAttester) -> None:
    one, other = attester("a"), attester("b")
    answer = one.submit(other.submission(other.challenge()))
    assert refused(answer) == (403, "IdentityMismatch")


def test_refuses_evidence_of_another_nodes_machine_for_another_nodes_challenge(
    attester: NewAttester,
) -> None:
    one, other = attester("a"), attester("b")
    theirs = other.machine.attest(report_data(other.challenge(), other.machine.boot_id))
    answer = one.submit(one.submission(one.challenge(), report=theirs))
    assert refused(answer) == (422, "EndorsementMismatch")


def test_refuses_an_answer_to_another_challenge(attester: NewAttester) -> None:
    one = attester()
    first, second = one.challenge(), one.challenge()
    old = one.machine.attest(report_data(first, one.machine.boot_id))
    answer = one.submit(one.submission(second, report=old))
    assert refused(answer) == (422, "ReportDataMismatch")


def test_refuses_an_expired_challenge(attester: NewAttester, plane: ControlPlane) -> None:
    one = attester()
    answer = attest_slowly(one, plane.admin, challenges.LIFE.total_seconds() + 1)
    assert answer.reason == "ChallengeExpired"


def test_refuses_a_forged_challenge(attester: NewAttester) -> None:
    one = attester()
    forged = bytearray(one.challenge())
    forged[-1] ^= 1
    assert one.submit(one.submission(bytes(forged))).reason == "ChallengeForged"


def test_refuses_a_challenge_of_another_clusters_key(attester: NewAttester) -> None:
    one = attester()
    key = Ed25519PrivateKey.generate()
    theirs = msgspec.structs.replace(
        challenges.read(one.challenge()), key_id=challenges.key_id(key.public_key())
    )
    answer = one.submit(one.submission(challenges.mint(theirs, key)))
    assert answer.reason == "ChallengeForged"


def test_refuses_a_superseded_challenge(attester: NewAttester) -> None:
    one = attester()
    early, late = one.challenge(), one.challenge()
    assert one.submit(one.submission(late)).status == 200
    assert refused(one.submit(one.submission(early))) == (409, "ChallengeSuperseded")


def test_answers_the_same_submission_the_same_way(attester: NewAttester) -> None:
    one = attester()
    submission = one.submission(one.challenge())
    first, again = one.submit(submission), one.submit(submission)
    assert (first.status, again.status) == (200, 200)
    assert first.body["sequence"] == again.body["sequence"]


def test_refuses_a_truncated_body(attester: NewAttester) -> None:
    one = attester()
    body = json.dumps(one.submission(one.challenge())).encode()
    assert refused(one.submit(body[:-40])) == (400, "MessageMalformed")


def test_refuses_an_oversized_body(attester: NewAttester) -> None:
    assert refused(attester().submit(b" " * (MAX_REQUEST_BYTES + 1))) == (413, "MessageTooLarge")


def test_refuses_a_truncated_report(attester: NewAttester) -> None:
    one = attester()
    submission = one.submission(one.challenge(), report=bytes(1183))
    assert refused(one.submit(submission)) == (422, "ReportMalformed")


def test_refuses_a_bit_flipped_report_and_says_so_in_the_object(
    attester: NewAttester, plane: ControlPlane
) -> None:
    one = attester()
    question = one.challenge()
    flipped = bytearray(one.machine.attest(report_data(question, one.machine.boot_id)))
    flipped[0x90] ^= 1  # the measurement
    assert refused(one.submit(one.submission(question, report=bytes(flipped)))) == (
        422,
        "SignatureInvalid",
    )
    status = plane.admin.get(attestation(one.name))["status"]
    assert (status["lastRefusal"]["reason"], status["lastRefusal"]["consecutive"]) == (
        "SignatureInvalid",
        1,
    )
    assert "evidence" not in status


def test_refuses_an_unknown_product(attester: NewAttester) -> None:
    one = attester()
    question = one.challenge()
    data = report_data(question, one.machine.boot_id)
    unknown = report(one.machine, data, cpuid=CPUID(family=0x17, model=0x31, stepping=0))
    answer = one.submit(one.submission(question, report=unknown))
    assert refused(answer) == (422, "ProductUnknown")


def test_refuses_another_boot_than_the_report_was_made_for(attester: NewAttester) -> None:
    one = attester()
    submission = one.submission(one.challenge())
    submission["bootID"] = "00000000-0000-4000-8000-000000000000"
    assert refused(one.submit(submission)) == (422, "ReportDataMismatch")


def test_asks_to_come_again_when_the_certificates_are_missing(attester: NewAttester) -> None:
    one = attester()
    submission = one.submission(one.challenge()) | {"certificates": ""}
    answer = one.submit(submission)
    assert refused(answer) == (503, "EndorsementsUnavailable")
    assert int(answer.retry_after) > 0


def test_refuses_simulated_evidence_without_the_operators_flag(
    attester: NewAttester, strict_client: EvidenceClient
) -> None:
    one = attester()
    one.client = strict_client
    assert refused(one.attest()) == (422, "RootUntrusted")


def test_takes_one_answer_once_from_two_replicas_at_the_same_time(
    attester: NewAttester, second_client: EvidenceClient, plane: ControlPlane
) -> None:
    one = attester()
    submission = one.submission(one.challenge())
    clients = (one.client, second_client)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda it: it.post(EVIDENCE_PATH, submission, one.token), clients))
    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.body["sequence"] for answer in answers] == [1, 1]
    assert plane.admin.get(attestation(one.name))["status"]["evidence"]["sequence"] == 1


def test_inherits_nothing_when_a_node_is_created_anew_under_the_same_name(
    attester: NewAttester, plane: ControlPlane
) -> None:
    one = attester()
    old_token, old_question = one.token, one.challenge()
    assert one.attest().status == 200
    plane.admin.delete(node(one.name))
    one.node.register()
    answer = one.submit(one.submission(old_question), token=old_token)
    assert refused(answer) == (409, "ChallengeSuperseded")
    assert refused(one.ask(old_token)) == (403, "NodeUnknown")


def _account_token(
    plane: ControlPlane,
    account: str,
    *,
    audience: str,
    pod: dict[str, Any] | None = None,
    home: str = AGENTS,
) -> str:
    spec: dict[str, Any] = {"audiences": [audience], "expirationSeconds": 600}
    if pod:
        spec["boundObjectRef"] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        }
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = plane.admin.create(f"{home}/serviceaccounts/{account}/token", body)
    token: str = answer["status"]["token"]
    return token


def _impostor_pod(plane: ControlPlane, node_name: str) -> dict[str, Any]:
    return plane.admin.create(
        f"{AGENTS}/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"impostor-{node_name}"},
            "spec": {
                "serviceAccountName": "nodeproof-agent",
                "nodeName": node_name,
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "main", "image": "example/impostor:1"}],
            },
        },
    )
