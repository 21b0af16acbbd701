"""The commands behind the Makefile's demo, cluster and test targets."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nodeproof.errors import NodeproofError
from nodeproof_dev import build, cluster, demo
from nodeproof_dev.chart import command as chart
from nodeproof_dev.images import command
from nodeproof_dev.real import demo as real_demo
from nodeproof_dev.real import playground

_DESCRIPTION = "Play with nodeproof on a real control plane that is built and started here."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the process's exit status."""
    given = _parser().parse_args(arguments)
    try:
        return _run(given)
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running", file=sys.stderr)
        return 130
    except NodeproofError as error:
        print(f"nodeproof: {error}", file=sys.stderr)
        return 1


def _run(given: argparse.Namespace) -> int:
    if given.command == "build":
        for program in build.PROGRAMS:
            build.directory_of(program)
    elif given.command == "images":
        command.run(given.output)
    elif given.command == "chart":
        chart.package(given.output)
    elif given.command == "manifests":
        chart.renew_manifests()
    elif given.command == "cluster":
        (playground if given.real else cluster).run(given.directory)
    else:
        (real_demo if given.real else demo).run(given.directory, keep=given.keep)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nodeproof_dev", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build what the tests need in Go, if it is not there yet")
    images = commands.add_parser("images", help="build the images, and say how large they are")
    images.add_argument("--output", type=Path, required=True, help="the directory to put them in")
    chart_command = commands.add_parser("chart", help="package the Helm chart")
    chart_command.add_argument("--output", type=Path, required=True, help="the directory for it")
    commands.add_parser("manifests", help="write deploy/ anew from the chart")
    for name, purpose in (
        ("demo", "attest four nodes, see one fail and return"),
        ("cluster", "leave a cluster with nodeproof running until Ctrl-C"),
    ):
        command = commands.add_parser(name, help=purpose)
        command.add_argument(
            "--directory",
            type=Path,
            default=None,
            help="where logs, kubeconfigs and data go; default: a temporary directory",
        )
        command.add_argument(
            "--real",
            action="store_true",
            help="real kubelets and containers, and nodeproof installed by Helm; takes root",
        )
        if name == "demo":
            command.add_argument(
                "--keep", action="store_true", help="keep the cluster running until Ctrl-C"
            )
    return parser


if __name__ == "__main__":
    sys.exit(main())
