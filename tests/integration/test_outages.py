"""Neither the API server's absence nor a leader's sudden end, or late return, does lasting harm."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cases.challenge_keys import attest_slowly
from cases.leading import leads, wait_leads
from cases.metrics_page import sample
from cases.policy_case import PolicyCase, attested
from nodeproof_dev.attester import EvidenceClient, HandDrivenAttester
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.installation import Installation
from nodeproof_dev.objects import attestation
from nodeproof_dev.operator_process import OperatorProcess
from nodeproof_dev.process import wait_until

NewAttester = Callable[..., HandDrivenAttester]
WRITES = "nodeproof_enforcement_writes_total"


@pytest.fixture
def leader(plane: ControlPlane, nodeproof_operator: OperatorProcess) -> Iterator[OperatorProcess]:
    """The run's operator, which leads; after the test it runs and leads again."""
    wait_leads(plane, nodeproof_operator)
    yield nodeproof_operator
    send(nodeproof_operator, signal.SIGCONT)
    if not nodeproof_operator.running:
        nodeproof_operator.start()
    wait_leads(plane, nodeproof_operator)


@pytest.fixture
def standby(installation: Installation, leader: OperatorProcess) -> Iterator[OperatorProcess]:
    """Another replica; when it stops, what it leads goes back to the run's operator."""
    replica = installation.start_operator("standby")
    yield replica
    # The run's operator must be there to take over before this one lets go.
    send(leader, signal.SIGCONT)
    if not leader.running:
        leader.start()
    replica.stop()


def test_ten_seconds_without_api_server_lose_nothing_and_attest_nobody(
    own_plane: ControlPlane,
    attester: NewAttester,
    case: PolicyCase,
    leader: OperatorProcess,
) -> None:
    policy = case.policy()
    rebooted, fresh = attester("rebooted"), attester("fresh")
    rebooted.attest()
    case.wait_label(rebooted.name, policy)
    pid, question = leader.pid, fresh.challenge()
    answer = fresh.submission(question)
    with own_plane.api_server_stopped():
        rebooted.node.reboot()
        refused = fresh.submit(answer)
        assert (refused.status, refused.reason) == (503, "Overloaded")
        assert int(refused.retry_after) > 0
        # It leads for ten seconds after its last renewal, and no longer.
        wait_until(lambda: not leads(leader), seconds=20, what="the end of leadership")
    assert fresh.submit(answer).status == 200
    case.wait_label(fresh.name, policy)
    case.wait_attested(rebooted.name, "Unknown", "NodeRebooted")
    case.wait_no_label(rebooted.name, policy)
    assert (leader.running, leader.pid) == (True, pid)


def test_evidence_outlives_the_leader_that_should_have_acted_on_it(
    plane: ControlPlane,
    attester: NewAttester,
    case: PolicyCase,
    leader: OperatorProcess,
    standby: OperatorProcess,
    ca_file: Path,
) -> None:
    policy = case.policy()
    one = attester()
    case.wait_attested(one.name, "Unknown", "NoEvidence")
    send(leader, signal.SIGSTOP)
    one.client = EvidenceClient(standby.url, str(ca_file))
    assert one.attest().status == 200
    leader.kill()
    seen = plane.admin.get(attestation(one.name))
    assert (seen["status"]["evidence"]["sequence"], attested(seen)["status"]) == (1, "Unknown")
    wait_leads(plane, standby)
    case.wait_label(one.name, policy)
    case.wait_taint(one.name, "")


def test_a_leader_that_slept_through_its_time_writes_nothing_when_it_wakes(
    plane: ControlPlane,
    attester: NewAttester,
    case: PolicyCase,
    leader: OperatorProcess,
    standby: OperatorProcess,
    ca_file: Path,
) -> None:
    policy = case.policy(freshness={"maximumAgeSeconds": 60, "intervalSeconds": 30})
    one = attester()
    attest_slowly(one, plane.admin, seconds=50)
    case.wait_label(one.name, policy)
    case.wait_taint(one.name, "")
    written = sample(leader.metrics_url, WRITES, result="done")
    send(leader, signal.SIGSTOP)
    one.client = EvidenceClient(standby.url, str(ca_file))
    assert one.attest().status == 200
    wait_leads(plane, standby)
    # By what it knew the label has to go now; by what has happened since it has to stay.
    send(leader, signal.SIGCONT)
    wait_until(lambda: not leads(leader), seconds=10, what="the late leader to stand down")
    one.client = EvidenceClient(leader.url, str(ca_file))
    assert one.attest().status == 200
    assert sample(leader.metrics_url, WRITES, result="done") == written
    assert sample(standby.metrics_url, WRITES, action="raise", result="done") is None
    case.wait_label(one.name, policy)
    case.wait_taint(one.name, "")


def send(operator: OperatorProcess, number: signal.Signals) -> None:
    for child in operator.children:
        child.signal(number)
