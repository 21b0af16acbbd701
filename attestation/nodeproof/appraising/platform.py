"""How the host was set up when the report was made: PLATFORM_INFO."""

from __future__ import annotations

from collections.abc import Iterator

from nodeproof.appraising.bits import BitCheck
from nodeproof.appraising.outcome import CheckResult
from nodeproof.checks import platform as checks
from nodeproof.policy import PlatformRules
from nodeproof.sevsnp.bits import PlatformInfo

_BITS: tuple[BitCheck[PlatformRules, PlatformInfo], ...] = (
    BitCheck(
        checks.PLATFORM_SMT,
        lambda rules: rules.smt,
        lambda bits: bits.smt_en,
        clear="SMT off",
        is_set="SMT on",
    ),
    BitCheck(
        checks.PLATFORM_TSME,
        lambda rules: rules.tsme,
        lambda bits: bits.tsme_en,
        clear="TSME off",
        is_set="TSME on",
    ),
    BitCheck(
        checks.PLATFORM_ECC,
        lambda rules: rules.ecc,
        lambda bits: bits.ecc_en,
        clear="memory without ECC",
        is_set="memory with ECC",
    ),
    BitCheck(
        checks.PLATFORM_RAPL_DISABLED,
        lambda rules: rules.rapl_disabled,
        lambda bits: bits.rapl_dis,
        clear="RAPL readings on",
        is_set="RAPL readings off",
    ),
    BitCheck(
        checks.PLATFORM_CIPHERTEXT_HIDING,
        lambda rules: rules.ciphertext_hiding,
        lambda bits: bits.ciphertext_hiding_dram_en,
        clear="ciphertext hiding off",
        is_set="ciphertext hiding on",
    ),
    BitCheck(
        checks.PLATFORM_ALIAS_CHECK,
        lambda rules: rules.alias_check,
        lambda bits: bits.alias_check_complete,
        clear="alias check not complete",
        is_set="alias check complete",
    ),
    BitCheck(
        checks.PLATFORM_IOMMU_WRITE_SAFE,
        lambda rules: rules.iommu_write_safe,
        lambda bits: bits.iommu_write_safe,
        clear="IOMMU writes not known to be safe",
        is_set="IOMMU writes safe",
    ),
    BitCheck(
        checks.PLATFORM_TIO,
        lambda rules: rules.tio,
        lambda bits: bits.tio_en,
        clear="SEV-TIO off",
        is_set="SEV-TIO on",
    ),
)


def appraise_platform(bits: PlatformInfo, rules: PlatformRules) -> Iterator[CheckResult]:
    """Return the results of the checks on PLATFORM_INFO."""
    for each in _BITS:
        yield each.judge(rules, bits)
