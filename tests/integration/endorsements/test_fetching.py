"""What is missing is fetched, once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cases.endorsements import (
    NAMESPACE,
    PRODUCT,
    ROUND_SECONDS,
    NewAttester,
    Start,
    is_waiting,
    launched_on,
    new_machine,
    stored,
    unendorsed,
    wait_accepted,
    wait_asked,
)
from cases.policy_case import PolicyCase, gate_labels
from nodeproof.sevsnp.bundle import Bundle, config_maps
from nodeproof.sevsnp.simulator import SimulatedAuthority
from nodeproof_dev import kds_faults as faults
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.kds import KDSStandIn
from nodeproof_dev.kds_faults import Fault
from nodeproof_dev.kds_shelf import Kind
from nodeproof_dev.process import wait_until


class TestFetching:
    """What is missing is fetched, once."""

    def test_evidence_without_certificates_counts_once_they_are_there(
        self,
        attester: NewAttester,
        case: PolicyCase,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
    ) -> None:
        policy, machine = case.policy(), new_machine(authority)
        kds.shelf.put_vceks([machine])
        one = attester(start(kds), machine)
        evidence = unendorsed(one)
        assert is_waiting(one.submit(evidence))
        message = case.wait_attested(one.name, "Unknown", "EndorsementsUnavailable")["message"]
        assert "AMD's certificates for this report are not at hand" in message
        assert gate_labels(case.wait_taint(one.name, "NoSchedule")) == set()
        wait_accepted(one, evidence)
        case.wait_label(one.name, policy)
        case.wait_taint(one.name, "")

    def test_two_nodes_on_one_chip_cost_one_request(
        self, attester: NewAttester, start: Start, kds: KDSStandIn, authority: SimulatedAuthority
    ) -> None:
        machine = new_machine(authority)
        kds.shelf.put_vceks([machine])
        operator = start(kds)
        one = attester(operator, machine, "x")
        other = attester(operator, launched_on(machine.processor), "y")
        evidence = {each: unendorsed(each) for each in (one, other)}
        assert all(is_waiting(each.submit(it)) for each, it in evidence.items())
        for each, it in evidence.items():
            wait_accepted(each, it)
        assert (kds.count(Kind.VCEK), kds.count(Kind.CHAIN)) == (1, 1)

    def test_stored_evidence_endorses_the_next_node_on_its_chip(
        self,
        attester: NewAttester,
        case: PolicyCase,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
    ) -> None:
        policy, machine, operator = case.policy(), new_machine(authority), start(kds)
        one = attester(operator, machine, "x")
        assert one.attest().status == 200
        case.wait_label(one.name, policy)
        other = attester(operator, launched_on(machine.processor), "y")
        assert other.submit(unendorsed(other)).status == 200
        case.wait_label(other.name, policy)
        assert kds.count(Kind.VCEK) == 0

    @pytest.mark.parametrize(
        "fault", [faults.Hang, lambda: faults.throttle("3600")], ids=["hangs", "answers 429"]
    )
    def test_attested_nodes_live_on_while_the_kds_does_not_answer(
        self,
        attester: NewAttester,
        case: PolicyCase,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
        fault: Callable[[], Fault],
    ) -> None:
        policy, operator = case.policy(), start(kds)
        one = attester(operator, new_machine(authority), "x")
        assert one.attest().status == 200
        case.wait_label(one.name, policy)
        kds.fail(fault())
        asked = len(kds.requests)
        newcomer = attester(operator, new_machine(authority), "y")
        assert is_waiting(newcomer.submit(unendorsed(newcomer)))
        wait_asked(kds, asked + 1)
        case.wait_attested(newcomer.name, "Unknown", "EndorsementsUnavailable")
        assert one.submit(unendorsed(one)).status == 200
        third = attester(operator, new_machine(authority), "z")
        assert third.attest().status == 200
        case.wait_label(third.name, policy)
        case.wait_counts(policy, matching=3, attested=2)

    def test_what_was_fetched_serves_the_next_operator(
        self,
        attester: NewAttester,
        case: PolicyCase,
        plane: ControlPlane,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
    ) -> None:
        policy = case.policy(revocation={"mode": "Required"})
        operator = start(kds)
        one = attester(operator, new_machine(authority), "x")
        assert one.attest().status == 200
        case.wait_label(one.name, policy)
        wait_until(
            lambda: (
                len(stored(plane.admin).get(f"nodeproof-endorsements-{PRODUCT.lower()}", ())) > 2
            ),
            seconds=ROUND_SECONDS,
            what="ASK, ARK and list to be stored",
        )
        operator.stop()
        other = attester(start(None), new_machine(authority), "y")
        assert other.attest().status == 200
        case.wait_label(other.name, policy)


class TestNetworkOff:
    """Where no KDS is in reach."""

    def test_says_that_a_bundle_is_needed(
        self, attester: NewAttester, case: PolicyCase, start: Start, authority: SimulatedAuthority
    ) -> None:
        case.policy()
        one = attester(start(None), new_machine(authority))
        assert is_waiting(one.submit(unendorsed(one)))
        message = case.wait_attested(one.name, "Unknown", "EndorsementsUnavailable")["message"]
        assert "the network is off: import a bundle of endorsements" in message

    def test_an_imported_bundle_endorses_a_node(
        self,
        attester: NewAttester,
        case: PolicyCase,
        plane: ControlPlane,
        start: Start,
        authority: SimulatedAuthority,
    ) -> None:
        policy, machine = case.policy(revocation={"mode": "Required"}), new_machine(authority)
        now = datetime.now(UTC)
        bundle = Bundle(now, machine.processor.certificates, (authority.issue_crl(now),))
        for document in config_maps(bundle, NAMESPACE):
            plane.admin.apply(document)
        one = attester(start(None), machine)
        wait_accepted(one, unendorsed(one))
        case.wait_label(one.name, policy)
