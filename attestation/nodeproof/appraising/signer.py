"""Who vouches for the report, and on which chip it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nodeproof.appraising.outcome import CheckResult, one_of, result, some, some_digits
from nodeproof.checks import signer as checks
from nodeproof.policy import ChipRules, SignerKind, SignerRules
from nodeproof.sevsnp.verify import VerifiedReport


def appraise_signer(claims: VerifiedReport, rules: SignerRules) -> Iterator[CheckResult]:
    """Return the results of the checks on the report's endorsement."""
    yield one_of(checks.SIGNER_KIND, rules.kinds, claims.signer)
    yield _csp_id(claims, rules.csp_ids)
    yield one_of(checks.PRODUCT, rules.products, claims.product)
    versions = [f"version {each}" for each in rules.report_versions]
    yield one_of(checks.REPORT_VERSION, versions, f"version {claims.report.version}")


def _csp_id(claims: VerifiedReport, accepted: Sequence[str]) -> CheckResult:
    if claims.csp_id is None:
        return result(checks.CSP_ID, "asked of a VLEK only", "no VLEK", passed=True)
    # A simulated VLEK proves nothing anyway: it is held against the list only if there is one.
    unasked = claims.signer is SignerKind.SIMULATED and not accepted
    expected = some(accepted) or (
        "any" if unasked else "a provider of signer.cspIDs, which lists none"
    )
    passed = unasked or claims.csp_id in accepted
    return result(checks.CSP_ID, expected, claims.csp_id, passed=passed)


def appraise_chip(claims: VerifiedReport, rules: ChipRules) -> Iterator[CheckResult]:
    """Return the results of the checks on CHIP_ID."""
    chip = claims.report.chip_id
    told = any(chip)
    observed = chip.hex() if told else "no chip ID"
    allowed = not rules.allow or (told and _lists(rules.allow, chip))
    yield result(checks.ALLOWED_CHIP, some_digits(rules.allow), observed, passed=allowed)
    denied = told and _lists(rules.deny, chip)
    expected = f"none of the {len(rules.deny)} on chips.deny" if rules.deny else "any"
    yield result(checks.DENIED_CHIP, expected, observed, passed=not denied)


def _lists(entries: Sequence[str], chip: bytes) -> bool:
    """Tell whether a list has this chip; Turin's entries may leave out the zeros."""
    digits = chip.hex()
    return any(entry.lower().ljust(len(digits), "0") == digits for entry in entries)
