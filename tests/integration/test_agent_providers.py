"""The agent as it runs on nodes, through every provider, against the running operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from urllib3.exceptions import HTTPError

from cases.metrics_page import sample
from cases.policy_case import OTHER_MEASUREMENT, PolicyCase, attested
from nodeproof.unavailability import CAUSES, Cause
from nodeproof_agent.metrics import BUILD_INFO, FAILURE, ROUNDS, SUCCESS
from nodeproof_agent.settings import AUTO, CONFIGFS_TSM, SEV_GUEST, SIMULATED
from nodeproof_dev.agent_process import AgentProcess
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.errors import NotPossible
from nodeproof_dev.installation import Installation
from nodeproof_dev.interfaces import (
    Interface,
    Shims,
    Simulator,
    ThroughSevGuest,
    ThroughTsm,
    why_not,
)
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.objects import attestation
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.process import wait_until

SECONDS = 30.0
"""How long anything may take: a few rounds of agents that wait for their turns at the firmware."""

SHORT = {"maximumAgeSeconds": 10, "intervalSeconds": 5}
"""A policy's freshness under which results expire while a test waits."""

KernelInterface = ThroughTsm | ThroughSevGuest
NewInterface = Callable[[str], KernelInterface]
Appear = Callable[[KernelInterface], None]
Start = Callable[[Interface], SimulatedNode]


def only_where(provider: str) -> pytest.MarkDecorator:
    """Skip where this machine cannot stand in for the provider's interface."""
    reason = why_not(provider)
    return pytest.mark.skipif(bool(reason), reason=f"no {provider} here: {reason}")


FUSE = (pytest.mark.fuse, pytest.mark.cc, only_where(CONFIGFS_TSM))
KERNELS = [
    pytest.param(CONFIGFS_TSM, marks=FUSE),
    pytest.param(SEV_GUEST, marks=[pytest.mark.cc, only_where(SEV_GUEST)]),
]
through_each_kernel_interface = pytest.mark.parametrize("provider", KERNELS)


@pytest.fixture(scope="session")
def shims(tmp_path_factory: pytest.TempPathFactory) -> Shims:
    return Shims.compile(tmp_path_factory.mktemp("shims"))


@pytest.fixture
def machine(platforms: Platforms, unique_name: str) -> Path:
    return platforms.machine(unique_name)


@pytest.fixture
def appear() -> Iterator[Appear]:
    """Lets an interface be there from now on."""
    with ExitStack() as stack:

        def entered(interface: KernelInterface) -> None:
            try:
                stack.enter_context(interface)
            except NotPossible as error:
                pytest.skip(str(error))

        yield entered


@pytest.fixture
def new_interface(
    machine: Path, tmp_path: Path, appear: Appear, request: pytest.FixtureRequest
) -> NewInterface:
    """Makes the machine reachable as through a kernel; for ``auto`` not before it appears."""

    def made(provider: str) -> KernelInterface:
        shims: Shims = request.getfixturevalue("shims")
        if provider == SEV_GUEST:
            interface: KernelInterface = ThroughSevGuest(machine, tmp_path, shims)
        else:
            interface = ThroughTsm(machine, tmp_path, shims, provider=provider)
        if provider != AUTO:
            appear(interface)
        return interface

    return made


@pytest.fixture
def start(
    join: Callable[..., SimulatedNode],
    installation: Installation,
    case: PolicyCase,
    machine: Path,
    unique_name: str,
    # Named, so that nodes are gone before what their agents use.
    appear: Appear,
) -> Start:
    """Lets the machine join as a node, whose agent reaches it through an interface."""
    assert appear is not None

    def started(interface: Interface) -> SimulatedNode:
        return join(
            unique_name,
            machine=machine,
            operator_url=installation.operator_url,
            labels=case.selector,
            interface=interface,
        )

    return started


def agent_of(node: SimulatedNode) -> AgentProcess:
    wait_until(lambda: bool(node.agent and node.agent.running), seconds=SECONDS, what="an agent")
    assert node.agent is not None
    return node.agent


def wait_successes(agent: AgentProcess, least: int) -> None:
    def reached() -> bool:
        with suppress(HTTPError):  # it has just been started
            return (sample(agent.metrics_url, ROUNDS, result=SUCCESS) or 0) >= least
        return False

    wait_until(reached, seconds=SECONDS, what=f"{least} successful rounds")


def wait_cause(plane: ControlPlane, node: SimulatedNode, cause: Cause | None) -> None:
    """Wait until the NodeAttestation says this of missing evidence."""
    plane.admin.wait_for(
        attestation(node.name),
        lambda seen: seen.get("status", {}).get("unavailable", {}).get("cause") == cause,
        seconds=SECONDS,
        what=f"unavailable: {cause}",
    )


def wait_said(plane: ControlPlane, node: SimulatedNode, reason: str, cause: Cause) -> str:
    """Wait until the result is Unknown for this reason and names this cause; return its message."""

    def says(seen: dict[str, object]) -> bool:
        condition = attested(seen)
        named = cause in condition.get("message", "")
        return (condition.get("status"), condition.get("reason"), named) == (
            "Unknown",
            reason,
            True,
        )

    found = plane.admin.wait_for(attestation(node.name), says, seconds=SECONDS)
    return str(attested(found)["message"])


@pytest.mark.parametrize("provider", [SIMULATED, *KERNELS])
def test_attests_and_after_a_reboot_again(
    start: Start, new_interface: NewInterface, machine: Path, case: PolicyCase, provider: str
) -> None:
    policy = case.policy()
    node = start(Simulator(machine) if provider == SIMULATED else new_interface(provider))
    case.wait_attested(node.name, "True", "Attested")
    case.wait_label(node.name, policy)
    assert sample(agent_of(node).metrics_url, BUILD_INFO, provider=provider) == 1
    node.reboot(measurement=OTHER_MEASUREMENT)
    case.wait_attested(node.name, "False", "CheckFailed")
    assert case.status(node.name)["evidence"]["bootID"] == node.boot_id


@pytest.mark.parametrize("provider", [pytest.param(AUTO, marks=FUSE)])
def test_without_a_platform_says_so_and_attests_once_there_is_one(
    start: Start,
    new_interface: NewInterface,
    appear: Appear,
    case: PolicyCase,
    plane: ControlPlane,
    provider: str,
) -> None:
    case.policy()
    interface = new_interface(provider)
    node = start(interface)
    message = wait_said(plane, node, "NoEvidence", Cause.NO_PLATFORM)
    assert CAUSES[Cause.NO_PLATFORM].remedy in message
    wait_cause(plane, node, Cause.NO_PLATFORM)
    agent = agent_of(node)
    before = agent.pid
    assert sample(agent.metrics_url, ROUNDS, result=FAILURE, reason=Cause.NO_PLATFORM)
    appear(interface)
    case.wait_attested(node.name, "True", "Attested")
    wait_cause(plane, node, None)
    assert agent.pid == before


@through_each_kernel_interface
def test_two_agents_of_one_machine_race_and_both_attest(
    start: Start,
    new_interface: NewInterface,
    installation: Installation,
    tmp_path: Path,
    provider: str,
) -> None:
    first = agent_of(start(new_interface(provider)))
    second = first.twin(tmp_path / "twin.log")
    second.ensure_running(installation.operator_url())
    try:
        for done in (1, 2):
            for agent in (first, second):
                wait_successes(agent, done)
            first.attest_now()
            second.attest_now()
    finally:
        second.stop()


@through_each_kernel_interface
def test_a_lost_key_is_told_at_once_and_shown_once_the_result_has_expired(
    start: Start,
    new_interface: NewInterface,
    case: PolicyCase,
    plane: ControlPlane,
    provider: str,
) -> None:
    policy = case.policy(freshness=SHORT)
    interface = new_interface(provider)
    node = start(interface)
    case.wait_label(node.name, policy)
    interface.lose_key()
    agent_of(node).attest_now()
    wait_cause(plane, node, Cause.KEY_DISABLED)
    message = wait_said(plane, node, "Expired", Cause.KEY_DISABLED)
    assert CAUSES[Cause.KEY_DISABLED].remedy in message
    case.wait_no_label(node.name, policy)
    node.reboot()
    case.wait_label(node.name, policy)
    wait_cause(plane, node, None)


@through_each_kernel_interface
def test_a_key_that_was_lost_before_is_shown_at_once_and_a_reboot_mends_it(
    start: Start,
    new_interface: NewInterface,
    case: PolicyCase,
    plane: ControlPlane,
    provider: str,
) -> None:
    case.policy()
    interface = new_interface(provider)
    interface.lose_key()
    node = start(interface)
    wait_said(plane, node, "NoEvidence", Cause.KEY_DISABLED)
    node.reboot()
    case.wait_attested(node.name, "True", "Attested")
    wait_cause(plane, node, None)
