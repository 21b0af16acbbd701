"""The command ``nodeproof-simulator``: authorities and machines in directories."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from nodeproof.binding import REPORT_DATA_SIZE
from nodeproof.errors import VerificationError
from nodeproof.policy import MEASUREMENT_SIZE
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import state
from nodeproof.sevsnp.simulator.authority import ARK_FILE, SimulatedAuthority
from nodeproof.sevsnp.simulator.processor import (
    DEBUG_POLICY,
    MEASUREMENT,
    POLICY,
    REPORT_VERSIONS,
    SimulatedMachine,
    SimulatedProcessor,
)

_DESCRIPTION = """\
A software SEV-SNP platform, to try nodeproof where there is no confidential hardware.

Its evidence proves nothing about the machine that it runs on. It counts only where an operator is
told to trust the simulated root, under a policy that allows the signer "Simulated".
"""

_EPILOG = """\
example:
  nodeproof-simulator authority lab --product Genoa
  nodeproof-simulator machine node-a --authority lab
  nodeproof-agent --provider simulated --simulated-machine node-a ...
  nodeproof-simulator reboot node-a --measurement "$(printf 'ab%.0s' $(seq 48))"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, or 1 after a message on standard error."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (OSError, ValueError, VerificationError) as error:
        sys.stderr.write(f"nodeproof-simulator: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nodeproof-simulator",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_authority(commands.add_parser("authority", help="make the stand-in for AMD: root and ASK"))
    _add_machine(commands.add_parser("machine", help="make a machine with a processor of its own"))
    _add_reboot(commands.add_parser("reboot", help="launch a machine again, perhaps changed"))
    _add_show(commands.add_parser("show", help="print a machine, without its key"))
    _add_attest(commands.add_parser("attest", help="write a report and the host's certificates"))
    return parser


def _add_authority(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="where to write it")
    parser.add_argument(
        "--product",
        type=Product,
        choices=tuple(Product),
        default=Product.MILAN,
        help="the product that it endorses (default: %(default)s)",
    )
    parser.set_defaults(run=_make_authority)


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="where to write it")
    parser.add_argument(
        "--authority", type=Path, required=True, metavar="DIR", help="who endorses its processor"
    )
    parser.add_argument(
        "--measurement",
        type=partial(_hexadecimal, MEASUREMENT_SIZE),
        default=MEASUREMENT,
        metavar="HEX",
        help="launch digest, 96 digits (default: a fixed one)",
    )
    parser.add_argument(
        "--debug", action="store_true", help="let the guest policy allow the host to debug"
    )
    parser.add_argument(
        "--report-version",
        type=int,
        choices=REPORT_VERSIONS,
        default=max(REPORT_VERSIONS),
        help="version of its reports (default: %(default)s)",
    )
    parser.set_defaults(run=_make_machine)


def _add_reboot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the machine")
    parser.add_argument(
        "--measurement",
        type=partial(_hexadecimal, MEASUREMENT_SIZE),
        metavar="HEX",
        help="launch digest from now on, 96 digits (default: as before)",
    )
    parser.set_defaults(run=_reboot)


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the machine")
    parser.set_defaults(run=_show)


def _add_attest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the machine")
    parser.add_argument(
        "--report-data",
        type=partial(_hexadecimal, REPORT_DATA_SIZE),
        required=True,
        metavar="HEX",
        help="what the report is to hold, 128 digits; standard output gets the 1,184 bytes of the "
        "report, and behind them the certificate table",
    )
    parser.set_defaults(run=_attest)


def _hexadecimal(size: int, text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != size:
        raise argparse.ArgumentTypeError(f"expected {2 * size} hexadecimal digits")
    return value


def _make_authority(options: argparse.Namespace) -> None:
    authority = SimulatedAuthority.create(options.product, datetime.now(UTC))
    authority.save(options.directory)
    _say(f"root of {authority.product}, simulated: {options.directory / ARK_FILE}")
    _say(f"SHA-256 of its public key: {authority.anchor().public_key_sha256}")


def _make_machine(options: argparse.Namespace) -> None:
    authority = SimulatedAuthority.load(options.authority)
    machine = SimulatedMachine.launch(
        SimulatedProcessor.create(authority, now=datetime.now(UTC)),
        measurement=options.measurement,
        policy=DEBUG_POLICY if options.debug else POLICY,
        report_version=options.report_version,
    )
    machine.save(options.directory)
    _show(options)


def _reboot(options: argparse.Namespace) -> None:
    machine = SimulatedMachine.load(options.directory)
    machine.reboot(measurement=options.measurement).save(options.directory)
    _show(options)


def _show(options: argparse.Namespace) -> None:
    sys.stdout.write(state.render(state.read_state(options.directory)))


def _attest(options: argparse.Namespace) -> None:
    machine = SimulatedMachine.load(options.directory)
    report = machine.attest(options.report_data)
    sys.stdout.buffer.write(report + machine.certificate_table())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
