from __future__ import annotations

from datetime import timedelta

from fakes.enforcement import NOW, case, node, proof
from nodeproof.evidence import VerifiedEvidence
from nodeproof.result import Reason
from nodeproof_operator.enforcement.finding import Finding, examine, rebooted
from nodeproof_operator.enforcement.memory import Memory, remember
from nodeproof_operator.enforcement.result import assess


def remembered(**changes: object) -> Memory:
    made = case(**changes)
    return remember(made, assess(made))


def test_a_boot_id_of_control_characters_is_shown_escaped() -> None:
    found = rebooted(node(boot_id="x\x1b[2J"), proof())
    assert found is not None
    assert "boot x\\x1b[2J" in found.message


def test_evidence_older_than_what_was_proved_is_not_believed() -> None:
    found = examine(case(newest_time=NOW, proof=proof(issued=NOW - timedelta(seconds=6))))
    assert isinstance(found, Finding)
    assert found.reason is Reason.NO_EVIDENCE


def test_replicas_whose_clocks_differ_a_little_are_both_believed() -> None:
    found = examine(case(newest_time=NOW, proof=proof(issued=NOW - timedelta(seconds=5))))
    assert isinstance(found, VerifiedEvidence)


def test_evidence_from_the_future_does_not_make_all_later_evidence_old() -> None:
    assert remembered(proof=proof(issued=NOW + timedelta(days=1))).newest_time == NOW


def test_the_newest_time_never_goes_back() -> None:
    earlier = proof(issued=NOW - timedelta(seconds=60))
    assert remembered(proof=earlier, newest_time=NOW).newest_time == NOW
