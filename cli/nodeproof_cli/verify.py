"""``nodeproof verify``: is this report genuine? Offline, from files alone."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from nodeproof.sevsnp.crl import NOT_REQUIRED, Revocation
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof_cli.outcome import Outcome, examine
from nodeproof_cli.reading import read_certificates, read_crls, read_report
from nodeproof_cli.rendering import render_json
from nodeproof_cli.wording import render_text

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - has no public name

GENUINE, REFUSED = 0, 1
"""Exit codes of an answer."""

_DESCRIPTION = """\
Tell whether an AMD SEV-SNP attestation report is genuine: every byte of it is what a processor of
AMD's signed, with a key that leads to one of AMD's root keys, which are built in.

No network is used. The certificates have to be at hand: the VEK (VCEK or VLEK), which certifies
the key that signed the report, the intermediate (ASK or ASVK) and the root (ARK). The host's
certificate table has them, or AMD's key distribution service (https://kdsintf.amd.com).

Genuine is not yet acceptable: whose question the report answers (REPORT_DATA) and what was launched
(MEASUREMENT) is for you to compare.
"""

_EPILOG = """\
exit codes:
  0  genuine
  1  refused, or not to be decided because a certificate or revocation list is missing
  2  wrong usage, or a file that cannot be read

example:
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
        "--report", type=_path, required=True, metavar="FILE", help="the report, 1184 bytes"
    )
    parser.add_argument(
        "--certs",
        type=_path,
        required=True,
        metavar="DIR",
        help="folder with the certificates, PEM or DER, under any names; other files are ignored, "
        "and of several VEKs the one that fits is taken",
    )
    parser.add_argument(
        "--crl",
        type=_path,
        metavar="FILE|DIR",
        help="AMD's revocation list, PEM or DER, or a folder with several; then one of them must "
        "be in force and clear the signer (default: revocation is not looked into)",
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


def run(
    options: argparse.Namespace,
    *,
    anchors: Sequence[TrustAnchor],
    clock: Callable[[], datetime],
) -> tuple[int, str]:
    """Return the exit code and what is to be printed.

    Raises:
        OSError: A file or folder cannot be read.
    """
    outcome = examine(
        read_report(options.report),
        read_certificates(options.certs),
        anchors=anchors,
        now=options.at or clock(),
        revocation=_revocation(options.crl),
    )
    render = render_json if options.output is Output.JSON else render_text
    return _code(outcome), render(outcome)


def _revocation(path: Path | None) -> Revocation:
    if path is None:
        return NOT_REQUIRED
    return Revocation(crls=read_crls(path), required=True)


def _code(outcome: Outcome) -> int:
    return REFUSED if outcome.claims is None else GENUINE


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("expected a path")
    return Path(text)


def _time(text: str) -> datetime:
    try:
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError("expected a time such as 2026-07-01T12:00:00Z")
