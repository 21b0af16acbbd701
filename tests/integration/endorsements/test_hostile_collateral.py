"""Neither a hostile mirror nor a hostile ConfigMap is believed."""

from __future__ import annotations

from datetime import UTC, datetime

import psutil
import pytest

from cases.endorsements import (
    CONFIG_MAPS,
    NewAttester,
    Start,
    config_map,
    is_waiting,
    new_machine,
    revoking_crl,
    stored,
    unendorsed,
    wait_fetched,
)
from cases.policy_case import PolicyCase
from nodeproof.sevsnp.simulator import SimulatedAuthority
from nodeproof_dev import kds_faults as faults
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.kds import KDSStandIn
from nodeproof_dev.kds_shelf import Kind, Shelf

MAX_GROWTH = 64 << 20
"""Bytes by which an operator may grow over an answer of a gigabyte."""


class TestHostileKDS:
    """A mirror whose certificate we trust, and which lies."""

    def test_a_chain_of_its_own_is_neither_believed_nor_kept(
        self,
        attester: NewAttester,
        case: PolicyCase,
        plane: ControlPlane,
        start: Start,
        kds: KDSStandIn,
        impostor: SimulatedAuthority,
    ) -> None:
        case.policy()
        machine = new_machine(impostor)
        kds.shelf = Shelf(impostor, now=datetime.now(UTC))
        kds.shelf.put_vceks([machine])
        operator = start(kds)
        one = attester(operator, machine)
        evidence = unendorsed(one)
        assert is_waiting(one.submit(evidence))
        wait_fetched(operator, 1)
        assert one.submit(evidence).status == 503
        case.wait_attested(one.name, "Unknown", "EndorsementsUnavailable")
        assert one.attest().reason == "RootUntrusted"
        assert "evidence" not in case.status(one.name)
        assert stored(plane.admin) == {}

    def test_the_vcek_of_another_chip_is_neither_believed_nor_kept(
        self,
        attester: NewAttester,
        case: PolicyCase,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
    ) -> None:
        case.policy()
        other = new_machine(authority)
        kds.fail(faults.substitute(other.processor.certificates[0]), Kind.VCEK)
        operator = start(kds)
        one = attester(operator, new_machine(authority))
        evidence = unendorsed(one)
        assert is_waiting(one.submit(evidence))
        wait_fetched(operator, 1)
        assert is_waiting(one.submit(evidence))
        wait_fetched(operator, 2)
        answer = one.submit(evidence)
        assert is_waiting(answer)
        assert other.chip_id.hex() in answer.body["message"]
        case.wait_attested(one.name, "Unknown", "EndorsementsUnavailable")
        assert "evidence" not in case.status(one.name)
        # Had the other chip's VCEK been kept under any name, it would be at hand now.
        its_own = attester(operator, other, "b")
        assert is_waiting(its_own.submit(unendorsed(its_own)))

    @pytest.mark.parametrize("stated", [True, False])
    def test_an_answer_of_a_gigabyte_costs_neither_memory_nor_results(
        self,
        attester: NewAttester,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
        *,
        stated: bool,
    ) -> None:
        kds.fail(faults.flood(stated=stated))
        operator = start(kds)
        one = attester(operator, new_machine(authority))
        evidence, process = unendorsed(one), psutil.Process(operator.pid)
        before = process.memory_info().rss
        assert is_waiting(one.submit(evidence))
        wait_fetched(operator, 1)
        assert is_waiting(one.submit(evidence))
        assert process.memory_info().rss < before + MAX_GROWTH
        assert one.attest().status == 200


class TestHostileConfigMap:
    """Whoever may write ConfigMaps may add certificates and lists, and gains nothing."""

    def test_a_chain_and_a_list_of_its_own_change_nothing(
        self,
        attester: NewAttester,
        case: PolicyCase,
        plane: ControlPlane,
        start: Start,
        authority: SimulatedAuthority,
        impostor: SimulatedAuthority,
    ) -> None:
        policy, hostile, witness = case.policy(), new_machine(impostor), new_machine(authority)
        lies = (*hostile.processor.certificates, revoking_crl(impostor), b"", b"\x30" * 999)
        truths = witness.processor.certificates
        plane.admin.create(CONFIG_MAPS, config_map(case.name, *lies, *truths))
        operator = start(None)
        # What is genuine has been read, and so has the rest.
        reader = attester(operator, witness, "witness")
        assert reader.submit(unendorsed(reader)).status == 200
        bad = attester(operator, hostile, "bad")
        assert bad.attest().status == 422
        assert is_waiting(bad.submit(unendorsed(bad)))
        case.wait_label(reader.name, policy)
        case.wait_counts(policy, matching=2, attested=1)
        assert "evidence" not in case.status(bad.name)
