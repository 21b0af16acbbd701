"""What every hardware provider checks of an answer before it passes it on."""

from __future__ import annotations

from nodeproof.binding import REPORT_DATA_SIZE
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed

REPORT_SIZE = 0x4A0
"""Bytes of a report (AMD 56860, ATTESTATION_REPORT)."""

REPORT_DATA_OFFSET = 0x50
"""Where REPORT_DATA stands in it (the same)."""


def check_report(report: bytes, report_data: bytes) -> None:
    """Check that this is a report of the right size over these 64 bytes.

    Whether it is genuine is the operator's to say; this tells a fault of the interface from one.

    Raises:
        ProviderFailed: It is not (``ReportMalformed``).
    """
    if len(report) != REPORT_SIZE:
        raise ProviderFailed(
            "the platform's report has the wrong size",
            cause=Cause.REPORT_MALFORMED,
            expected=f"{REPORT_SIZE} bytes",
            observed=f"{len(report)} bytes",
        )
    observed = report[REPORT_DATA_OFFSET : REPORT_DATA_OFFSET + REPORT_DATA_SIZE]
    if observed != report_data:
        raise ProviderFailed(
            "the platform's report does not answer what was asked",
            cause=Cause.REPORT_MALFORMED,
            expected=f"REPORT_DATA {report_data.hex()}",
            observed=observed.hex(),
        )
