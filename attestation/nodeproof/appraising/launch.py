"""What was launched: privilege level, measurement, and the statements of the ID block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from nodeproof.appraising.bits import bit_result
from nodeproof.appraising.outcome import (
    CheckResult,
    digits_among,
    result,
    shorten,
    some,
    some_digits,
)
from nodeproof.checks import launch as checks
from nodeproof.policy import GuestRules, Measurement, ReferenceValueSet
from nodeproof.sevsnp.report import Report
from nodeproof.sevsnp.verify import VerifiedReport


def appraise_launch(report: Report, rules: GuestRules) -> Iterator[CheckResult]:
    """Return the results of the checks on the launch, but for its measurement."""
    vmpl = f"VMPL {rules.vmpl}", f"VMPL {report.vmpl}"
    yield result(checks.VMPL, *vmpl, passed=report.vmpl == rules.vmpl)
    svn = f"at least {rules.minimum_svn}", str(report.guest_svn)
    yield result(checks.GUEST_SVN, *svn, passed=report.guest_svn >= rules.minimum_svn)
    yield digits_among(checks.FAMILY_ID, rules.family_ids, report.family_id)
    yield digits_among(checks.IMAGE_ID, rules.image_ids, report.image_id)
    yield digits_among(checks.HOST_DATA, rules.host_data, report.host_data)
    states = ("no ID block", "an ID block")
    present = any(report.id_key_digest)
    yield bit_result(checks.ID_BLOCK, rules.id_block, states, observed=present)
    yield digits_among(checks.ID_KEY, rules.id_key_digests, report.id_key_digest)
    yield _author_key(report, rules.author_key_digests)


def _author_key(report: Report, accepted: Sequence[str]) -> CheckResult:
    if report.key_info.author_key_en:
        return digits_among(checks.AUTHOR_KEY, accepted, report.author_key_digest)
    return result(checks.AUTHOR_KEY, some_digits(accepted), "no author key", passed=not accepted)


def appraise_measurement(
    claims: VerifiedReport,
    names: Sequence[str],
    sets: Iterable[ReferenceValueSet],
    now: datetime,
) -> CheckResult:
    """Return whether MEASUREMENT is one of the values, in force now, of the sets of these names."""
    accepted = [
        each.measurement
        for one_set in sets
        if one_set.name in names
        for each in one_set.measurements
        if each.in_force(now) and _is_for(each, claims)
    ]
    observed = claims.report.measurement.hex()
    return result(
        checks.MEASUREMENT,
        _expected(names, accepted),
        # Whole, for an admin who wants to make it a reference value.
        observed,
        passed=observed in accepted,
    )


def _is_for(value: Measurement, claims: VerifiedReport) -> bool:
    return value.product is None or value.product is claims.product


def _expected(names: Sequence[str], accepted: Sequence[str]) -> str:
    where = some(names)
    if not accepted:
        return f"a value of {where}, where none is in force"
    count = "the only value" if len(accepted) == 1 else f"one of the {len(accepted)} values"
    return f"{count} of {where}: {some([shorten(each) for each in accepted])}"
