"""What a revocation list does to nodes that are attested."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest

from cases.endorsements import (
    CONFIG_MAPS,
    PRODUCT,
    ROUND_SECONDS,
    NewAttester,
    Start,
    config_map,
    new_machine,
    revoking_crl,
    wait_condition,
    wait_fetched,
)
from cases.metrics_page import sample
from cases.policy_case import PolicyCase, gate_labels
from nodeproof.sevsnp.simulator import SimulatedAuthority
from nodeproof.sevsnp.simulator.issuing import CRL_LIFE
from nodeproof_dev import kds_faults as faults
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.kds import KDSStandIn
from nodeproof_dev.kds_shelf import Kind

CURRENT = "EndorsementsCurrent"


class TestRevocation:
    """AMD's lists, wherever they come from."""

    @pytest.mark.parametrize("way", ["ConfigMap", "KDS"])
    def test_a_list_that_names_the_signer_closes_its_nodes(
        self,
        attester: NewAttester,
        case: PolicyCase,
        plane: ControlPlane,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
        way: str,
    ) -> None:
        kds.fail(faults.Hang(), Kind.CRL)
        policy = case.policy()
        operator = start(kds if way == "KDS" else None)
        nodes = [attester(operator, new_machine(authority), each) for each in ("x", "y")]
        for one in nodes:
            assert one.attest().status == 200
            case.wait_label(one.name, policy)
        if way == "KDS":
            kds.shelf.put_crl(PRODUCT, revoking_crl(authority))
            kds.recover()
        else:
            plane.admin.create(
                CONFIG_MAPS, config_map(case.name, authority.ark, revoking_crl(authority))
            )
        for one in nodes:
            case.wait_no_label(one.name, policy, ROUND_SECONDS)
            message = case.wait_attested(one.name, "False", "SignerRevoked")["message"]
            assert "AMD has revoked the ASK certificate" in message
            case.wait_taint(one.name, "NoExecute")
        assert nodes[0].attest().reason == "SignerRevoked"

    def test_a_policy_that_requires_a_list_passes_nothing_without(
        self,
        attester: NewAttester,
        case: PolicyCase,
        plane: ControlPlane,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
    ) -> None:
        kds.fail(faults.Hang(), Kind.CRL)
        policy = case.policy(revocation={"mode": "Required"})
        one = attester(start(kds), new_machine(authority))
        assert one.attest().status == 200
        message = case.wait_attested(one.name, "Unknown", "EndorsementsUnavailable")["message"]
        assert f"policy {policy} requires a revocation list: no revocation list of" in message
        wait_condition(plane.admin, one.name, CURRENT, ("False", "EndorsementsUnavailable"))
        assert gate_labels(case.wait_taint(one.name, "NoSchedule")) == set()
        kds.recover()
        case.wait_label(one.name, policy)
        told = wait_condition(plane.admin, one.name, CURRENT, ("True", "Current"))["message"]
        begin = datetime.now(UTC) - timedelta(days=1)
        assert f"{begin + CRL_LIFE:%Y-%m-%d}" in told

    @pytest.mark.parametrize("fault", ["expired", "signed by another"])
    def test_a_worthless_list_is_none(
        self,
        attester: NewAttester,
        case: PolicyCase,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
        impostor: SimulatedAuthority,
        fault: str,
    ) -> None:
        now = datetime.now(UTC)
        expired, foreign = authority.issue_crl(now - 2 * CRL_LIFE), impostor.issue_crl(now)
        kds.fail(faults.substitute(expired if fault == "expired" else foreign), Kind.CRL)
        case.policy(revocation={"mode": "Required"})
        operator = start(kds)
        one = attester(operator, new_machine(authority))
        assert one.attest().status == 200
        wait_fetched(operator, 2)
        assert sample(operator.metrics_url, "nodeproof_kds_requests_total", result="Accepted") == 1
        case.wait_attested(one.name, "Unknown", "EndorsementsUnavailable")

    def test_no_list_is_missed_where_the_policy_does_not_ask(
        self,
        attester: NewAttester,
        case: PolicyCase,
        start: Start,
        kds: KDSStandIn,
        authority: SimulatedAuthority,
    ) -> None:
        kds.fail(faults.status(HTTPStatus.INTERNAL_SERVER_ERROR))
        policy = case.policy(revocation={"mode": "Off"})
        one = attester(start(kds), new_machine(authority))
        assert one.attest().status == 200
        case.wait_label(one.name, policy)
