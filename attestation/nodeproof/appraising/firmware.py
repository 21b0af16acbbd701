"""Is the host's firmware at least what the policy asks of this CPU model?

Several minimums may name one processor, with other components or effective times: all that are in
force count, and together they ask for the highest version of each component.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from nodeproof.appraising.outcome import CheckResult, result
from nodeproof.checks import Check
from nodeproof.checks import firmware as checks
from nodeproof.policy import FirmwareMinimum, FirmwareRules, Permission, TCBMinimum
from nodeproof.sevsnp.report import Report
from nodeproof.sevsnp.tcb import TCBVersion
from nodeproof.sevsnp.verify import VerifiedReport

_NO_MINIMUM = "any: no minimum is in force for it"


def appraise_firmware(
    claims: VerifiedReport, rules: FirmwareRules, now: datetime
) -> Iterator[CheckResult]:
    """Return the results of the checks on the versions of the host's firmware."""
    listed = [each for each in rules.minimums if _names(each, claims)]
    yield _cpu_model(claims, rules, listed=bool(listed))
    current = [each for each in listed if each.in_force(now)]
    yield _tcb(checks.REPORTED_TCB, claims.reported_tcb, (each.reported_tcb for each in current))
    yield _tcb(checks.COMMITTED_TCB, claims.committed_tcb, (each.committed_tcb for each in current))
    yield _tcb(checks.LAUNCH_TCB, claims.launch_tcb, (each.launch_tcb for each in current))
    yield _version(claims.report, current)
    yield _provisional(claims, rules.provisional)
    report = claims.report
    launch = (each.launch_mitigations for each in current)
    yield _mitigations(checks.LAUNCH_MITIGATIONS, report, report.launch_mit_vector, launch)
    now_too = (each.current_mitigations for each in current)
    yield _mitigations(checks.CURRENT_MITIGATIONS, report, report.current_mit_vector, now_too)


def _names(minimum: FirmwareMinimum, claims: VerifiedReport) -> bool:
    cpuid = claims.report.cpuid
    return (
        cpuid is not None
        and minimum.cpu_model.value == claims.cpu_model
        and minimum.stepping in {None, cpuid.stepping}
    )


def _cpu_model(claims: VerifiedReport, rules: FirmwareRules, *, listed: bool) -> CheckResult:
    cpuid = claims.report.cpuid
    if not rules.minimums:
        expected, passed = "any", True
    elif rules.unlisted_cpu_models is Permission.FORBIDDEN:
        expected, passed = "one that firmware.minimums names", listed
    else:
        # Not told is not unlisted: old firmware must not pass because it says less.
        expected, passed = "any that the report tells", cpuid is not None
    observed = (
        f"{claims.cpu_model} stepping {cpuid.stepping}"
        if cpuid
        else f"not told by a report of version {claims.report.version}"
    )
    return result(checks.CPU_MODEL, expected, observed, passed=passed)


def _tcb(check: Check, observed: TCBVersion, minimums: Iterable[TCBMinimum | None]) -> CheckResult:
    together: dict[str, int] = {}
    for minimum in minimums:
        for name, lowest in minimum.components().items() if minimum else ():
            together[name] = max(lowest, together.get(name, 0))
    lacking = observed.lacks(together)
    asked = " ".join(f"{name}={lowest}" for name, lowest in together.items())
    expected = f"at least {asked}" if asked else _NO_MINIMUM
    too_low = f"; too low: {', '.join(lacking)}" if lacking else ""
    return result(check, expected, f"{observed}{too_low}", passed=not lacking)


def _version(report: Report, minimums: Iterable[FirmwareMinimum]) -> CheckResult:
    lowest = max((each.version_numbers() for each in minimums), default=())
    expected = f"at least {'.'.join(map(str, lowest))}" if lowest else _NO_MINIMUM
    observed = report.committed_version
    return result(
        checks.FIRMWARE_VERSION, expected, f"{observed} committed", passed=observed >= lowest
    )


def _provisional(claims: VerifiedReport, rule: Permission) -> CheckResult:
    report = claims.report
    provisional = (claims.current_tcb, report.current_version) != (
        claims.committed_tcb,
        report.committed_version,
    )
    running = f"{report.current_version} ({claims.current_tcb})"
    committed = f"{report.committed_version} ({claims.committed_tcb})"
    return result(
        checks.PROVISIONAL_FIRMWARE,
        "any" if rule is Permission.ALLOWED else "the running firmware is the committed one",
        f"running {running}, committed {committed}" if provisional else f"{running} committed",
        passed=rule is Permission.ALLOWED or not provisional,
    )


def _mitigations(
    check: Check, report: Report, vector: int | None, required: Iterable[Sequence[int]]
) -> CheckResult:
    bits = sorted({bit for each in required for bit in each})
    expected = f"{_spoken(bits)} set" if bits else _NO_MINIMUM
    if vector is None:
        observed = f"not told by a report of version {report.version}"
        return result(check, expected, observed, passed=not bits)
    missing = [bit for bit in bits if not vector >> bit & 1]
    clear = f", {_spoken(missing)} clear" if missing else ""
    return result(check, expected, f"{vector:#x}{clear}", passed=not missing)


def _spoken(bits: Sequence[int]) -> str:
    return f"bit{'s' * (len(bits) > 1)} {', '.join(map(str, bits))}"
