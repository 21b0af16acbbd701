"""nodeproof on the run's control plane, and nodes that join it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cases.node_rules import node_rules_lifted as lifted
from cases.policy_case import PolicyCase
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.sevsnp.simulator.processor import MEASUREMENT
from nodeproof_dev.attester import EvidenceClient, HandDrivenAttester
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.installation import Installation
from nodeproof_dev.interfaces import Interface
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.objects import AGENT_PODS, run_on
from nodeproof_dev.operator_process import OperatorProcess
from nodeproof_dev.platforms import Platforms

CASE_LABEL = "test.nodeproof.dev/case"
"""The label by which a test's policies select its nodes and no others."""

NOWHERE = "https://127.0.0.1:1"
"""An operator's URL where nobody listens."""


@pytest.fixture
def join(plane: ControlPlane) -> Iterator[Callable[..., SimulatedNode]]:
    """Lets stand-in nodes join by name, without a platform unless given one, for one test."""
    with ExitStack() as stack:

        def joined(
            name: str,
            *,
            machine: Path | None = None,
            operator_url: Callable[[], str] = lambda: NOWHERE,
            labels: dict[str, str] | None = None,
            interface: Interface | None = None,
        ) -> SimulatedNode:
            node = SimulatedNode(
                plane,
                name,
                machine=machine,
                operator_url=operator_url,
                labels=labels,
                interface=interface,
            )
            return stack.enter_context(node)

        yield joined


@pytest.fixture(scope="session")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Platforms:
    """The run's simulated SNP platforms; its operators are told to accept their root."""
    return Platforms(tmp_path_factory.mktemp("platforms"))


@pytest.fixture(scope="session")
def installation(plane: ControlPlane, platforms: Platforms) -> Iterator[Installation]:
    """nodeproof's objects on the run's control plane; no operator is running yet."""
    with Installation(plane, simulated_roots=[platforms.ark]) as applied:
        applied.apply()
        yield applied


@pytest.fixture(scope="session")
def nodeproof_operator(installation: Installation) -> OperatorProcess:
    """The run's operator, ready."""
    return installation.start_operator()


@pytest.fixture
def namespace(plane: ControlPlane, unique_name: str) -> Iterator[str]:
    """A namespace for one test, with its default ServiceAccount."""
    path = f"/api/v1/namespaces/{unique_name}"
    plane.admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": unique_name}})
    plane.admin.wait_for(f"{path}/serviceaccounts/default")
    yield unique_name
    plane.admin.delete(path)


@pytest.fixture(scope="session")
def ca_file(
    plane: ControlPlane,
    nodeproof_operator: OperatorProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The CA bundle that agents trust, as the operator has published it."""
    assert nodeproof_operator.running
    path = "/api/v1/namespaces/nodeproof-agents/configmaps/nodeproof-ca"
    published = plane.admin.wait_for(path, lambda it: "ca.crt" in (it.get("data") or {}))
    file = tmp_path_factory.mktemp("ca") / "ca.crt"
    file.write_text(published["data"]["ca.crt"])
    return file


@pytest.fixture
def client(nodeproof_operator: OperatorProcess, ca_file: Path) -> EvidenceClient:
    """A client of the run's operator."""
    return EvidenceClient(nodeproof_operator.url, str(ca_file))


@pytest.fixture(scope="module")
def second_client(installation: Installation, ca_file: Path) -> Iterator[EvidenceClient]:
    """A client of a second replica, which runs for this module."""
    replica = installation.start_operator("second-replica")
    yield EvidenceClient(replica.url, str(ca_file))
    replica.stop()


@pytest.fixture(scope="module")
def strict_client(plane: ControlPlane, ca_file: Path) -> Iterator[EvidenceClient]:
    """A client of a replica that was not told to accept the simulated root."""
    with Installation(plane) as strict:
        replica = strict.start_operator("strict-replica")
        yield EvidenceClient(replica.url, str(ca_file))


@pytest.fixture
def attester(
    join: Callable[..., SimulatedNode],
    plane: ControlPlane,
    client: EvidenceClient,
    platforms: Platforms,
    unique_name: str,
) -> Callable[..., HandDrivenAttester]:
    """Makes attesters, each on a node of its own whose agent's pod is bound and waiting."""

    def made(
        suffix: str = "a", labels: dict[str, str] | None = None, **launch: Any
    ) -> HandDrivenAttester:
        name = f"{unique_name}-{suffix}"
        node = join(name, labels={CASE_LABEL: unique_name} | (labels or {}))
        plane.admin.wait_for(AGENT_PODS, lambda pods: run_on(pods, {name}))
        machine = SimulatedMachine.load(platforms.machine(name, **launch))
        # The machine is in the boot that the Node states.
        return HandDrivenAttester(client, node, replace(machine, boot_id=node.boot_id))

    return made


@pytest.fixture
def case(
    plane: ControlPlane, nodeproof_operator: OperatorProcess, unique_name: str
) -> Iterator[PolicyCase]:
    """This test's policies, which select its attesters; one launch measurement is good."""
    assert nodeproof_operator.running
    made = PolicyCase(plane.admin, unique_name, {CASE_LABEL: unique_name})
    made.reference_values(MEASUREMENT)
    yield made
    made.remove()


@pytest.fixture
def node_rules_lifted(plane: ControlPlane, installation: Installation) -> Iterator[None]:
    """The cluster without our admission rules for Nodes, for one test."""
    assert installation is not None
    with lifted(plane):
        yield
