"""What the agent costs the node that it runs on: memory, and time until it has attested first.

Real parts: control plane, operator, TLS, tokens. The agent is the process that nodes run, started
several times through each provider that this machine can stand in for. Its memory is read once its
first evidence was accepted, its time taken from before it was started to its own log's time of
that. Both depend on the machine: each row says what part of the budget that is, and nothing fails.
It has only the libraries that its image has: structlog loads rich where rich is to be found.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import psutil

from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_agent.settings import CONFIGFS_TSM, SEV_GUEST, SIMULATED
from nodeproof_dev import interfaces
from nodeproof_dev.agent_process import AgentProcess
from nodeproof_dev.cluster import working_directory
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.installation import Installation
from nodeproof_dev.interfaces import Interface, Shims, Simulator, ThroughSevGuest, ThroughTsm
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.process import wait_until

BUDGET_MIB = 45
BUDGET_SECONDS = 2.0

PROVIDERS = (CONFIGFS_TSM, SEV_GUEST, SIMULATED)

_MIB = 1024 * 1024
_SECONDS = 30.0
_ACCEPTED = "evidence accepted"


class Line(msgspec.Struct):
    """What is read of a line of the agent's log."""

    event: str = ""
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one start of an agent cost.

    Attributes:
        mib: Its resident memory after its first round.
        seconds: How long it took until its evidence was accepted.
    """

    mib: float
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the costs; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5, help="of each agent; default: %(default)s")
    starts = parser.parse_args(arguments).starts
    print(f"agent, medians of {starts} starts (budgets: {BUDGET_MIB} MiB, {BUDGET_SECONDS:g} s)")
    with ExitStack() as stack:
        place = stack.enter_context(working_directory(None))
        bench = Bench(stack, place)
        for provider in PROVIDERS:
            if reason := interfaces.why_not(provider):
                print(f"  {provider:14} left out: {reason}")
            else:
                show(provider, bench.costs(provider, starts))
    return 0


def show(provider: str, costs: Sequence[Cost]) -> None:
    """Print what an agent costs with this provider."""
    mib = statistics.median(cost.mib for cost in costs)
    seconds = statistics.median(cost.seconds for cost in costs)
    print(
        f"  {provider:14} resident {mib:5.1f} MiB {mib / BUDGET_MIB:6.2f} x budget"
        f"   first evidence accepted after {seconds:5.2f} s {seconds / BUDGET_SECONDS:6.2f} x"
    )


@dataclass(frozen=True, slots=True)
class AsInItsImage:
    """An interface for an agent that finds no library which only developers install.

    Attributes:
        through: The interface.
        place: Where to put what hides the library.
    """

    through: Interface
    place: Path

    @property
    def arguments(self) -> Sequence[str]:
        """The interface's."""
        return self.through.arguments

    @property
    def environment(self) -> Mapping[str, str]:
        """The interface's, and a module before all others that says it is not there."""
        hidden = self.place / "hidden"
        hidden.mkdir(exist_ok=True)
        (hidden / "rich.py").write_text("raise ModuleNotFoundError(name=__name__)\n")
        return {**self.through.environment, "PYTHONPATH": str(hidden)}

    def booted(self, machine: SimulatedMachine) -> None:
        """Nothing boots here."""


class Bench:
    """A control plane with an operator, and nodes whose agents are started again and again."""

    def __init__(self, stack: ExitStack, place: Path) -> None:
        self._stack = stack
        self._place = place
        self._plane = stack.enter_context(ControlPlane.obtain(place))
        self._platforms = Platforms(place / "platforms")
        self._nodeproof = stack.enter_context(
            Installation(self._plane, simulated_roots=[self._platforms.ark])
        )
        self._nodeproof.apply()
        self._nodeproof.start_operator()

    def costs(self, provider: str, starts: int) -> list[Cost]:
        """Start an agent so many times."""
        name = f"through-{provider}"
        machine = self._platforms.machine(name)
        with ExitStack() as stack:
            node = SimulatedNode(
                self._plane,
                name,
                machine=machine,
                operator_url=self._nodeproof.operator_url,
                interface=AsInItsImage(self._interface(provider, machine, stack), self._place),
            )
            stack.enter_context(node)
            wait_until(lambda: node.agent is not None, seconds=_SECONDS, what="the agent's pod")
            assert node.agent is not None
            return list(costs(node.agent, starts))

    def _interface(self, provider: str, machine: Path, stack: ExitStack) -> Interface:
        if provider == SIMULATED:
            return Simulator(machine)
        place = self._place / provider
        place.mkdir()
        shims = Shims.compile(place)
        if provider == CONFIGFS_TSM:
            return stack.enter_context(ThroughTsm(machine, place, shims))
        return stack.enter_context(ThroughSevGuest(machine, place, shims))


def costs(agent: AgentProcess, starts: int) -> Iterator[Cost]:
    """Yield what each start of an agent costs, the first one before anything counted left out.

    It brings the pod's token and the modules' bytecode, which later starts find.
    """
    for number in range(starts + 1):
        wait_accepted(agent, number + 1)
        assert agent.start_time is not None
        seconds = (accepted(agent)[-1] - agent.start_time).total_seconds()
        mib = psutil.Process(agent.pid).memory_info().rss / _MIB
        agent.stop()
        if number:
            yield Cost(mib, seconds)


def wait_accepted(agent: AgentProcess, times: int) -> None:
    """Wait until evidence of an agent was accepted so often, over all its starts."""
    wait_until(lambda: len(accepted(agent)) >= times, seconds=_SECONDS, what=_ACCEPTED)


def accepted(agent: AgentProcess) -> list[datetime]:
    """Return when evidence of an agent was accepted."""
    lines = agent.log_path.read_bytes().splitlines() if agent.log_path.exists() else []
    found = [msgspec.json.decode(line, type=Line) for line in lines if line.startswith(b"{")]
    return [line.time for line in found if line.event == _ACCEPTED and line.time]


if __name__ == "__main__":
    sys.exit(main())
