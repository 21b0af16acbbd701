"""What a report states, decoded for the processor it names; nobody vouches for it yet."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from nodeproof.errors import ReportMalformed
from nodeproof.sevsnp.products import CPUModel, identify
from nodeproof.sevsnp.report import Report, parse_report
from nodeproof.sevsnp.tcb import MILAN_LAYOUT, TCBVersion, decode_tcb

NO_MIGRATION_AGENT = (b"\xff" * 32, bytes(32))
"""REPORT_ID_MA of a guest without a migration agent: all ones; zeros name none either."""


class Statement(msgspec.Struct, frozen=True):
    """A report and what depends on the processor: read, but not yet believed."""

    report: Report
    model: CPUModel | None
    """None for a report of version 2, which does not tell."""
    reported_tcb: TCBVersion
    committed_tcb: TCBVersion
    current_tcb: TCBVersion
    launch_tcb: TCBVersion


def read_statement(data: bytes) -> Statement:
    """Return what the 1,184 bytes of a report state.

    Raises:
        ReportMalformed: Wrong size, reserved bytes or bits used, or a value out of its range.
        ReportVersionUnsupported: A layout that this release does not know.
        ProductUnknown: CPUID values of no known processor.
    """
    report = parse_report(data)
    model = identify(report.cpuid) if report.cpuid else None
    # Version 2 names no processor; only Milan and Genoa made it, and they share one layout.
    layout = model.tcb_layout if model else MILAN_LAYOUT
    stated = (report.reported_tcb, report.committed_tcb, report.current_tcb, report.launch_tcb)
    # Mostly all four are the same.
    decoded = {raw: decode_tcb(raw, layout) for raw in dict.fromkeys(stated)}
    reported, committed, current, launch = (decoded[raw] for raw in stated)
    return Statement(
        report=report,
        model=model,
        reported_tcb=reported,
        committed_tcb=committed,
        current_tcb=current,
        launch_tcb=launch,
    )


def check_consistency(statement: Statement) -> None:
    """Check that a report does not contradict itself, as no machine's does.

    The firmware lets a host report less than runs and commits only what runs; LAUNCH_TCB may be
    anything, because a guest can come from another machine. Only a guest whose policy allows it
    has a migration agent (56860, TCB_VERSION, REPORTED_TCB, COMMITTED_TCB, REPORT_ID_MA).

    Raises:
        ReportMalformed: A version is above the current one, or a migration agent is named that the
            guest policy forbids.
    """
    for what, highest, observed in _too_new(statement):
        raise ReportMalformed(
            f"the report contradicts itself: {what} is above what runs",
            expected=f"at most {highest}",
            observed=str(observed),
        )
    report = statement.report
    if not report.policy.migrate_ma and report.report_id_ma not in NO_MIGRATION_AGENT:
        raise ReportMalformed(
            "the report contradicts itself: it names a migration agent that its policy forbids",
            expected=f"REPORT_ID_MA {NO_MIGRATION_AGENT[0].hex()}",
            observed=report.report_id_ma.hex(),
        )


def _too_new(statement: Statement) -> Iterator[tuple[str, object, object]]:
    report, current = statement.report, statement.current_tcb
    tcbs = (("REPORTED_TCB", statement.reported_tcb), ("COMMITTED_TCB", statement.committed_tcb))
    for name, tcb in tcbs:
        if tcb != current and current.lacks(tcb.components()):
            yield name, current, tcb
    if report.committed_version > report.current_version:
        yield "the committed version", report.current_version, report.committed_version
