"""``nodeproof verify``: is this report genuine? From files alone, unless told to fetch."""

from __future__ import annotations

import argparse
import asyncio
import re
from datetime import UTC, datetime
from enum import StrEnum

from nodeproof.sevsnp.crl import Revocation
from nodeproof_cli.fetching import Question, ask_fetching
from nodeproof_cli.network import add_fetching, address_of, check_fetching, path
from nodeproof_cli.outcome import Outcome
from nodeproof_cli.reading import read_certificates, read_crls, read_report
from nodeproof_cli.rendering import render_json
from nodeproof_cli.surroundings import Commands, Surroundings
from nodeproof_cli.wording import render_text
from nodeproof_cli.writing import write_each

GENUINE, REFUSED = 0, 1
"""Exit codes of an answer."""

_DESCRIPTION = """\
Tell whether an AMD SEV-SNP attestation report is genuine: every byte of it is what a processor of
AMD's signed, with a key that leads to one of AMD's root keys, which are built in.

It takes the VEK (VCEK or VLEK), which certifies the key that signed the report, the intermediate
(ASK or ASVK) and the root (ARK). The host's certificate table has them, or AMD's key distribution
service (https://kdsintf.amd.com): --fetch asks that for what is missing, and for AMD's revocation
list. Without --fetch, no network is used.

Genuine is not yet acceptable: whose question the report answers (REPORT_DATA) and what was launched
(MEASUREMENT) is for you to compare.
"""

_EPILOG = """\
exit codes:
  0  genuine
  1  refused, or not to be decided because a certificate or revocation list is missing
  2  wrong usage, or a file that cannot be read

examples:
  nodeproof verify --report report.bin --fetch --save certificates/
  nodeproof verify --report report.bin --certs certificates/
  nodeproof verify --report report.bin --certs certificates/ --crl crl.der \\
      --at 2026-07-01T12:00:00Z --output json
"""

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


class Output(StrEnum):
    """How the answer is written."""

    TEXT = "text"
    JSON = "json"


def add_parser(commands: Commands) -> None:
    """Add ``verify`` to the commands."""
    parser = commands.add_parser(
        "verify",
        help="tell whether an attestation report is genuine",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--report", type=path, required=True, metavar="FILE", help="the report, 1184 bytes"
    )
    parser.add_argument(
        "--certs",
        type=path,
        metavar="DIR",
        help="folder with the certificates, PEM or DER, under any names; other files are ignored, "
        "and of several VEKs the one that fits is taken (not needed with --fetch)",
    )
    parser.add_argument(
        "--crl",
        type=path,
        metavar="FILE|DIR",
        help="AMD's revocation list, PEM or DER, or a folder with several; then one of them must "
        "be in force and clear the signer (default: revocation is not looked into, unless "
        "--fetch asks for the list of today)",
    )
    parser.add_argument(
        "--at",
        type=_time,
        metavar="RFC3339",
        help="when certificates and lists must be in force (default: now)",
    )
    parser.add_argument(
        "--output",
        type=Output,
        choices=tuple(Output),
        default=Output.TEXT,
        metavar="|".join(Output),
        help="default: %(default)s",
    )

    _add_network(parser)
    parser.set_defaults(run=run, fail=parser.error)


def _add_network(parser: argparse.ArgumentParser) -> None:
    add_argument = add_fetching(
        parser,
        "ask AMD's key service for what is missing: the VCEK, its chain, and the revocation list "
        "of today, which then must clear the signer; waits some minutes if the service says so",
    )
    add_argument(
        "--save",
        type=path,
        metavar="DIR",
        help="write what was fetched into this folder, for --certs and --crl",
    )


def run(options: argparse.Namespace, surroundings: Surroundings) -> tuple[int, str]:
    """Return the exit code and what is to be printed.

    Raises:
        OSError: A file or folder cannot be read or written.
        SystemExit: The options do not go together.
        Unusable: The network cannot be used at all.
    """
    check_fetching(options, "save")
    if options.certs is None and not options.fetch:
        options.fail("--certs is needed, or --fetch")
    question = Question(
        report=read_report(options.report),
        pool=read_certificates(options.certs) if options.certs else (),
        crls=read_crls(options.crl) if options.crl else (),
        now=options.at or surroundings.clock(),
        surroundings=surroundings,
    )
    outcome = _fetching(options, question) if options.fetch else _offline(options, question)
    render = render_json if options.output is Output.JSON else render_text
    return _code(outcome), render(outcome)


def _offline(options: argparse.Namespace, question: Question) -> Outcome:
    required = options.crl is not None
    return question.ask(None, Revocation(crls=question.crls, required=required))


def _fetching(options: argparse.Namespace, question: Question) -> Outcome:
    outcome, holding = asyncio.run(ask_fetching(question, address_of(options)))
    if options.save:
        write_each(options.save, (*holding.fetched_certificates, *holding.fetched_crls))
    return outcome


def _code(outcome: Outcome) -> int:
    return REFUSED if outcome.claims is None else GENUINE


def _time(text: str) -> datetime:
    try:
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError("expected a time such as 2026-07-01T12:00:00Z")
