"""Whatever is written into Nodes and statuses: only a proof that passes opens the gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fakes.enforcement import (
    BOOT_ID,
    GATE,
    NOW,
    POLICY,
    TAINT,
    UNREADABLE,
    audit,
    case,
    elsewhere,
    node,
    policy,
    proof,
    record,
    values,
)
from nodeproof.errors import ChallengeForged, IdentityMismatch, SignatureInvalid
from nodeproof.result import (
    MAX_FACT_LENGTH,
    Condition,
    Deferral,
    LastRefusal,
    Outcome,
    PolicyResult,
    Reason,
    Status,
    StoredEvidence,
    Unavailable,
)
from nodeproof.unavailability import Cause
from nodeproof_operator.enforcement.desired import desired, next_time
from nodeproof_operator.enforcement.errors import ChallengeKeyUnknown
from nodeproof_operator.enforcement.finding import Case
from nodeproof_operator.enforcement.result import assess
from nodeproof_operator.enforcement.taints import strength

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)).map(  # noqa: DTZ001 - made aware
    lambda each: each.replace(tzinfo=NOW.tzinfo)
)
WORDS = st.text(max_size=8)
BYTES = st.binary()

EXCUSES = st.builds(
    Unavailable,
    TIMES | st.just(NOW + timedelta(seconds=1)),
    st.sampled_from(Cause).map(str) | WORDS,
    st.text(),
)

STATUS = st.fixed_dictionaries(
    {
        "conditions": st.lists(
            st.builds(
                Condition,
                type=st.sampled_from(["Attested", "EvidenceVerified", "EndorsementsCurrent"]),
                status=st.sampled_from(Status),
                reason=st.sampled_from(Reason),
                message=WORDS,
                last_transition_time=TIMES,
            ),
            max_size=3,
        ).map(tuple),
        "policies": st.lists(
            st.builds(
                PolicyResult,
                name=st.sampled_from([POLICY, "other"]),
                observed_generation=st.integers(0, 3),
                outcome=st.sampled_from(Outcome),
                reason=st.sampled_from(Reason),
                signer=st.sampled_from(["", "VCEK", "Simulated"]),
            ),
            max_size=3,
        ).map(tuple),
        "last_refusal": st.none() | st.builds(LastRefusal, TIMES, WORDS, WORDS, st.integers(1, 5)),
        "deferral": st.none() | st.builds(Deferral, TIMES, WORDS, WORDS, WORDS),
        "unavailable": st.none() | EXCUSES,
        "signer": st.sampled_from(["", "VCEK", "VLEK", "Simulated"]),
        "expiration_time": st.none() | TIMES,
        "evidence": st.none()
        | st.builds(
            StoredEvidence, st.integers(1, 9), st.binary(), WORDS, st.binary(), st.just(())
        ),
    }
)
NODES = st.builds(
    node,
    labels=st.dictionaries(
        st.sampled_from(["pool", "x", "node-role.kubernetes.io/control-plane"]), WORDS
    ),
    boot_id=st.sampled_from([BOOT_ID, "", "other"]),
    deleting=st.booleans(),
)
POLICIES = st.fixed_dictionaries(
    {POLICY: st.sampled_from([policy(), policy(generation=2), audit(), elsewhere(), UNREADABLE])}
)
WITHOUT_PROOF = st.sampled_from(
    [
        None,
        ChallengeForged("no"),
        ChallengeKeyUnknown("no"),
        IdentityMismatch("no"),
        SignatureInvalid("no"),
        proof(bad=True),
        proof(issued=NOW - timedelta(seconds=900)),
        proof(issued=NOW + timedelta(seconds=6)),
    ]
)
KNOWN_VALUES = st.sampled_from([{"values": values()}, {"values": UNREADABLE}, {}])


def gate_labels(**changes: Any) -> frozenset[str]:
    made = case(**changes)
    found = desired(made.node, assess(made), made.now)
    return found.gate_labels if found else frozenset()


@given(status=STATUS, view=NODES, policies=POLICIES, known=KNOWN_VALUES, shown=WITHOUT_PROOF)
def test_nothing_written_gives_a_label_without_a_passing_proof(
    status: Any, view: Any, policies: Any, known: Any, shown: Any
) -> None:
    assert not gate_labels(
        node=view, record=record(**status), policies=policies, reference_values=known, proof=shown
    )


@given(status=STATUS, view=NODES)
def test_nothing_written_gives_a_label_that_the_same_proof_would_not_earn_alone(
    status: Any, view: Any
) -> None:
    earned = gate_labels(record=record())
    assert gate_labels(record=record(**status), node=view) <= earned == {GATE}


@given(status=STATUS, view=NODES, shown=WITHOUT_PROOF.filter(lambda each: each is not None))
def test_nothing_a_kubelet_writes_softens_the_taint_of_failing_evidence(
    status: Any, view: Any, shown: Any
) -> None:
    plain = case(proof=shown, record=record(**status))
    written = case(proof=shown, record=record(**status), node=view)
    target = desired(plain.node, assess(plain), NOW)
    after = desired(written.node, assess(written), NOW)
    assert target is not None
    assert after is not None
    exempt = view.control_plane or view.deleting
    assert exempt or strength(after.taint_effect) >= strength(target.taint_effect)


SILENT = st.builds(
    case,
    record=STATUS.map(lambda each: record(**each | {"unavailable": None})),
    node=st.builds(
        lambda view, effect: replace(
            view,
            labels={**view.labels, GATE: "true"},
            taints=({"key": TAINT, "effect": effect},) if effect else (),
        ),
        NODES,
        st.sampled_from([None, "NoSchedule", "NoExecute"]),
    ),
    policies=POLICIES,
    reference_values=KNOWN_VALUES,
    proof=WITHOUT_PROOF | st.just(proof()),
    now=st.sampled_from([NOW + timedelta(seconds=each) for each in (0, 600, 901, 1201, 10**6)]),
    passes=st.sampled_from([{}, {POLICY: NOW + timedelta(seconds=900)}]),
)


@given(silent=SILENT, said=EXCUSES)
def test_nothing_but_words_follows_from_what_an_agent_says_of_missing_evidence(
    silent: Case, said: Unavailable
) -> None:
    assert silent.record is not None
    status = msgspec.structs.replace(silent.record.status, unavailable=said)
    excused = replace(silent, record=replace(silent.record, status=status))
    before, after = assess(silent), assess(excused)
    message = after.attested.message
    assert message == before.attested.message or before.attested.status is Status.UNKNOWN
    assert len(message) <= MAX_FACT_LENGTH
    in_other_words = msgspec.structs.replace(after.attested, message=before.attested.message)
    assert replace(after, attested=in_other_words) == before
    assert desired(silent.node, after, silent.now) == desired(silent.node, before, silent.now)
    assert next_time(after, silent.now) == next_time(before, silent.now)
