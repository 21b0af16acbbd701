"""The subcommand: its flags, and the way from them to an answer and an exit code."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from nodeproof import logs
from nodeproof_agent import settings
from nodeproof_agent.doctor.diagnosis import (
    Diagnosis,
    diagnose,
    diagnose_attempt,
    diagnose_simulated,
)
from nodeproof_agent.doctor.examination import Examination, examine
from nodeproof_agent.doctor.findings import findings
from nodeproof_agent.doctor.machine import Machine
from nodeproof_agent.doctor.rendering import Answer, render_json, render_text
from nodeproof_agent.doctor.trying import Attempt, attempt
from nodeproof_agent.providers import Provider
from nodeproof_agent.providers.selection import choose
from nodeproof_agent.settings import Hardware, Simulated

POSSIBLE, IMPOSSIBLE = 0, 1
"""Exit codes of an answer; 2 is wrong usage."""

Choose = Callable[[Hardware | Simulated], Provider]

_DESCRIPTION = """\
Tell whether this machine gives attestation evidence, what is missing if not, and what to do.

It looks at the processor, the hypervisor, the kernel and its log, the driver and its interfaces, as
the agent would find them with the same flags: run it where the agent runs (kubectl exec), and again
on the node itself, where more can be seen. It needs no operator and no network. It makes an entry
in configfs-tsm and removes it; it asks the firmware for nothing, unless --try is given."""

_EPILOG = """\
Every flag but --try and --output can be given as an environment variable, as for the agent.

exit codes:
  0  evidence can be had
  1  it cannot
  2  wrong usage

examples:
  nodeproof-agent doctor
  nodeproof-agent doctor --try --output json
  kubectl -n nodeproof-agents exec POD -- nodeproof-agent doctor"""


class Output(StrEnum):
    """How the answer is written."""

    TEXT = "text"
    JSON = "json"


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Answer on standard output, with warnings on standard error; return the exit code.

    Raises:
        SystemExit: 0 after ``--help``; 2 when the flags are refused.
    """
    logs.configure("auto", "warning")
    code, answer = run(arguments, environment)
    sys.stdout.write(answer)
    return code


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    machine: Machine | None = None,
    *,
    choose: Choose = choose,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[int, str]:
    """Return the exit code and what is to be printed.

    Args:
        arguments: Those behind ``doctor``.
        environment: Where flags come from that are not given.
        machine: What to look at; this machine if None.
        choose: Returns the provider that ``--try`` asks.
        random: Returns so many bytes that nobody can guess.

    Raises:
        SystemExit: 0 after ``--help``; 2 when the flags are refused.
    """
    parser = _parser(environment)
    options = vars(parser.parse_args(arguments))
    wanted = settings.take_platform(options, parser.error)
    seen = examine(
        machine or Machine(environment=environment),
        wanted if isinstance(wanted, Hardware) else Hardware(),
    )
    tried = attempt(choose(wanted), random) if options["try"] else None
    answer = Answer(seen.platform, _judge(seen, wanted, tried), findings(seen), tried)
    render = render_json if options["output"] is Output.JSON else render_text
    return POSSIBLE if answer.diagnosis.cause is None else IMPOSSIBLE, render(answer)


def _judge(seen: Examination, wanted: Hardware | Simulated, tried: Attempt | None) -> Diagnosis:
    diagnosis = diagnose_simulated() if isinstance(wanted, Simulated) else diagnose(seen)
    return diagnosis if tried is None else diagnose_attempt(diagnosis, tried)


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nodeproof-agent doctor",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    settings.add_platform_flags(parser, environment)
    parser.add_argument(
        "--try",
        action="store_true",
        help="ask the provider for one report over random data, which costs a request to the "
        "firmware (hosts throttle them), and say what came back",
    )
    parser.add_argument(
        "--output",
        type=Output,
        choices=tuple(Output),
        default=Output.TEXT,
        metavar="|".join(Output),
        help="default: %(default)s",
    )
    return parser
