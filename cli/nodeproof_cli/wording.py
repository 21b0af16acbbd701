"""The answer in words, for a person at a terminal; ASCII, and safe to print whatever was read."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from nodeproof.errors import VerificationError
from nodeproof.sevsnp.crl import RevocationList
from nodeproof.sevsnp.statement import Statement
from nodeproof.sevsnp.verify import VerifiedReport
from nodeproof_cli.advice import ADVICE
from nodeproof_cli.outcome import Outcome
from nodeproof_cli.rendering import bits, utc

_WIDTH = 100
_INDENT = "  "
_LABEL = 14
_NEXT_STEPS = """\
Genuine is not yet acceptable. Compare for yourself:
  - REPORT_DATA with what you asked: else the report may be old, or of another machine's.
  - MEASUREMENT with that of the image that should run: else anything may have been launched.
  - the guest policy and the firmware versions with the least that you accept.
"""


def render_text(outcome: Outcome) -> str:
    """Return the answer in lines."""
    lines = _genuine(outcome.claims, outcome) if outcome.claims else _refused(outcome)
    return "".join(f"{printable(line)}\n" for line in lines)


def printable(text: str) -> str:
    """Return text with everything escaped that a terminal could take for a command of its own."""
    return "".join(
        character if " " <= character <= "~" else character.encode("unicode_escape").decode()
        for character in text
    )


def _genuine(claims: VerifiedReport, outcome: Outcome) -> Iterator[str]:
    yield f"GENUINE: a processor of AMD's {claims.product} line signed exactly these bytes."
    yield ""
    yield _line("signed by", f"{claims.signer}, certified under the pinned ARK-{claims.product}")
    if claims.csp_id is not None:
        yield _line("provider", claims.csp_id)
    yield _line("judged at", utc(outcome.now))
    yield _line("revocation", _revocation(claims.crl))
    if outcome.statement:
        yield from _statement(outcome.statement)
    yield ""
    yield from _NEXT_STEPS.splitlines()


def _refused(outcome: Outcome) -> Iterator[str]:
    error = outcome.error or VerificationError("there is no answer")
    yield f"REFUSED: {error.reason}"
    yield ""
    yield _INDENT + error.message
    for label, value in (("expected", error.expected), ("observed", error.observed)):
        if value:
            yield _line(label, value)
    yield ""
    yield from wrap(ADVICE.get(error.reason, ""), _WIDTH)
    if outcome.statement:
        yield ""
        yield "What the report claims, with nothing to show that it is true:"
        yield ""
        yield from _statement(outcome.statement)


def _statement(statement: Statement) -> Iterator[str]:
    report = statement.report
    yield _line("report", f"version {report.version}, VMPL {report.vmpl}")
    yield _line("processor", f"{statement.model.name} ({report.cpuid})" if statement.model else "-")
    yield _line("chip ID", report.chip_id.hex() if any(report.chip_id) else "none")
    yield _line("firmware", f"{report.current_version}, reported TCB {statement.reported_tcb}")
    yield _line("guest policy", f"{report.policy.value:#x}: {_set(bits(report.policy))}")
    yield _line("platform", f"{report.platform_info.value:#x}: {_set(bits(report.platform_info))}")
    if report.policy.debug:
        yield _line("", "DEBUG: the host can read and change all memory of this guest")
    yield _line("MEASUREMENT", report.measurement.hex())
    yield _line("REPORT_DATA", report.report_data.hex())


def _set(flags: dict[str, object]) -> str:
    return ", ".join(name for name, value in flags.items() if value is True) or "nothing set"


def _revocation(crl: RevocationList | None) -> str:
    if crl is None:
        return "not looked into (--crl, --fetch)"
    return f"not on AMD's list of {utc(crl.this_update)}"


def _line(label: str, value: str) -> str:
    return f"{_INDENT}{label:<{_LABEL}}{value}"
