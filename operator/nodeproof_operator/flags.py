"""Flags that every command of the operator's image has, each also given by the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

from nodeproof import __version__, logs
from nodeproof_operator.cluster.objects import AGENT_NAMESPACE, NAMESPACE

ENVIRONMENT_PREFIX: Final = "NODEPROOF_"


def command_parser(name: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return a parser that keeps the lines of its texts and knows ``--version``."""
    parser = argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nodeproof {__version__}")
    return parser


def flag(group: argparse._ArgumentGroup, name: str, **options: object) -> None:
    """Add one flag."""
    group.add_argument(name, **options)  # type: ignore[arg-type]  # argparse's own loose options


def add_cluster_flags(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add how to reach the cluster; return the group, for more of the kind."""
    cluster = parser.add_argument_group("cluster")
    flag(cluster, "--kubeconfig", type=Path, help="default: the pod's ServiceAccount")
    flag(cluster, "--namespace", default=NAMESPACE, help="the operator's; default: %(default)s")
    return cluster


def add_agent_namespace(cluster: argparse._ArgumentGroup) -> None:
    """Add where the agents run."""
    flag(
        cluster,
        "--agent-namespace",
        default=AGENT_NAMESPACE,
        metavar="NAMESPACE",
        help="the agents'; default: %(default)s",
    )


def add_log_flags(parser: argparse.ArgumentParser, *, level: str = "info") -> None:
    """Add format and level of the logs, which go to standard error."""
    logging = parser.add_argument_group("logs")
    flag(logging, "--log-format", choices=get_args(logs.Format), default="auto")
    flag(logging, "--log-level", choices=logs.LEVELS, default=level)


def seconds(text: str) -> float:
    """Return what a flag says as a whole number of seconds.

    Raises:
        ArgumentTypeError: It says something else.
    """
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return float(text)


def default_from_environment(
    parser: argparse.ArgumentParser,
    environment: Mapping[str, str],
    lists: frozenset[str] = frozenset(),
) -> None:
    """Let flags that are not given be taken from the environment; those of ``lists`` are not."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list of its flags
        value = environment.get(ENVIRONMENT_PREFIX + action.dest.upper())
        if value is not None and action.default is not argparse.SUPPRESS and action.nargs != 0:
            action.default = None if action.dest in lists else value
