"""An operator of its own for every test, with AMD's key service beside it.

Each of them leads, so that nothing which one of them fetched, paused or saw revoked is left to the
next; the run's operator rests meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cases.endorsements import (
    PRODUCT,
    NewAttester,
    Start,
    clear,
)
from cases.policy_case import PolicyCase
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine
from nodeproof.sevsnp.simulator.processor import MEASUREMENT
from nodeproof_dev.attester import EvidenceClient, HandDrivenAttester
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.installation import Installation
from nodeproof_dev.kds import KDSStandIn
from nodeproof_dev.kds_shelf import Shelf
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.objects import AGENT_PODS, LEASE, lease_holder, run_on
from nodeproof_dev.operator_process import OperatorProcess

CASE_LABEL = "test.nodeproof.dev/case"
LEAD_SECONDS = 25.0


@pytest.fixture(scope="session")
def authority() -> SimulatedAuthority:
    """Who endorses these tests' machines."""
    return SimulatedAuthority.create(PRODUCT, datetime.now(UTC))


@pytest.fixture(scope="session")
def impostor() -> SimulatedAuthority:
    """Who says the same names with other keys, and whom no operator trusts."""
    return SimulatedAuthority.create(PRODUCT, datetime.now(UTC))


@pytest.fixture(scope="module")
def vacancy(
    plane: ControlPlane, nodeproof_operator: OperatorProcess, ca_file: Path
) -> Iterator[None]:
    """The run's operator does not run; after each module it leads again."""
    assert ca_file.exists()
    nodeproof_operator.stop()
    yield
    nodeproof_operator.start()
    wait_leads(plane, nodeproof_operator)


@pytest.fixture
def start(
    plane: ControlPlane,
    vacancy: None,  # noqa: ARG001 - nobody else leads
    authority: SimulatedAuthority,
    unique_name: str,
    tmp_path: Path,
) -> Iterator[Start]:
    """Start an operator that trusts our authority and asks this KDS; None: its network is off."""
    ark = tmp_path / "ark.pem"
    ark.write_bytes(authority.ark)
    with ExitStack() as stack:
        # Done last: a running operator would write again what it holds.
        stack.callback(clear, plane.admin)

        def started(kds: KDSStandIn | None) -> OperatorProcess:
            network: dict[str, Any] = (
                {"kds_url": kds.url, "kds_ca_file": kds.ca_file} if kds else {}
            )
            own = stack.enter_context(Installation(plane, simulated_roots=[ark], **network))
            replica = own.start_operator(unique_name)
            wait_leads(plane, replica)
            return replica

        yield started


@pytest.fixture
def kds(authority: SimulatedAuthority, tmp_path: Path) -> Iterator[KDSStandIn]:
    """AMD's key service, which knows our authority and as yet no chip."""
    shelf = Shelf(authority, now=datetime.now(UTC))
    with KDSStandIn(tmp_path / "kds", shelf) as standin:
        yield standin


@pytest.fixture
def attester(
    join: Callable[..., SimulatedNode], plane: ControlPlane, ca_file: Path, unique_name: str
) -> NewAttester:
    """Makes attesters for an operator, each on a node of its own, with the machine given."""

    def made(
        operator: OperatorProcess, machine: SimulatedMachine, suffix: str = "a"
    ) -> HandDrivenAttester:
        joined = join(f"{unique_name}-{suffix}", labels={CASE_LABEL: unique_name})
        plane.admin.wait_for(AGENT_PODS, lambda pods: run_on(pods, {joined.name}))
        client = EvidenceClient(operator.url, str(ca_file))
        return HandDrivenAttester(client, joined, replace(machine, boot_id=joined.boot_id))

    return made


@pytest.fixture
def case(plane: ControlPlane, vacancy: None, unique_name: str) -> Iterator[PolicyCase]:  # noqa: ARG001 - CRDs
    """This test's policies; one launch measurement is good."""
    made = PolicyCase(plane.admin, unique_name, {CASE_LABEL: unique_name})
    made.reference_values(MEASUREMENT)
    yield made
    made.remove()


def wait_leads(plane: ControlPlane, operator: OperatorProcess) -> None:
    plane.admin.wait_for(
        LEASE,
        lambda seen: lease_holder(seen) == operator.name,
        seconds=LEAD_SECONDS,
        what=f"{operator.name} to lead",
    )
