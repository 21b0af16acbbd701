"""What the guest's owner has forbidden or demanded of the host: the guest policy."""

from __future__ import annotations

from collections.abc import Iterator

from nodeproof.appraising.bits import BitCheck
from nodeproof.appraising.outcome import CheckResult, result
from nodeproof.checks import guest as checks
from nodeproof.policy import GuestRules
from nodeproof.sevsnp.bits import GuestPolicy

_BITS: tuple[BitCheck[GuestRules, GuestPolicy], ...] = (
    BitCheck(
        checks.GUEST_DEBUG,
        lambda rules: rules.debug,
        lambda bits: bits.debug,
        clear="debugging forbidden",
        is_set="debugging allowed",
    ),
    BitCheck(
        checks.MIGRATION_AGENT,
        lambda rules: rules.migration_agent,
        lambda bits: bits.migrate_ma,
        clear="migration agent forbidden",
        is_set="migration agent allowed",
    ),
    BitCheck(
        checks.SMT,
        lambda rules: rules.smt,
        lambda bits: bits.smt,
        clear="SMT forbidden",
        is_set="SMT allowed",
    ),
    BitCheck(
        checks.SINGLE_SOCKET,
        lambda rules: rules.single_socket,
        lambda bits: bits.single_socket,
        clear="any number of sockets",
        is_set="a single socket",
    ),
    BitCheck(
        checks.GUEST_CXL,
        lambda rules: rules.cxl,
        lambda bits: bits.cxl_allow,
        clear="CXL forbidden",
        is_set="CXL allowed",
    ),
    BitCheck(
        checks.GUEST_AES_256_XTS,
        lambda rules: rules.aes_256_xts,
        lambda bits: bits.mem_aes_256_xts,
        clear="AES-256-XTS not demanded",
        is_set="AES-256-XTS demanded",
    ),
    BitCheck(
        checks.GUEST_RAPL_DISABLED,
        lambda rules: rules.rapl_disabled,
        lambda bits: bits.rapl_dis,
        clear="RAPL readings tolerated",
        is_set="RAPL readings forbidden",
    ),
    BitCheck(
        checks.GUEST_CIPHERTEXT_HIDING,
        lambda rules: rules.ciphertext_hiding,
        lambda bits: bits.ciphertext_hiding_dram,
        clear="ciphertext hiding not demanded",
        is_set="ciphertext hiding demanded",
    ),
    BitCheck(
        checks.GUEST_PAGE_SWAP_DISABLED,
        lambda rules: rules.page_swap_disabled,
        lambda bits: bits.page_swap_disable,
        clear="page swapping tolerated",
        is_set="page swapping forbidden",
    ),
)


def appraise_guest_policy(bits: GuestPolicy, rules: GuestRules) -> Iterator[CheckResult]:
    """Return the results of the checks on POLICY."""
    for each in _BITS:
        yield each.judge(rules, bits)
    yield _abi(bits, rules.minimum_abi)


def _abi(bits: GuestPolicy, minimum: str | None) -> CheckResult:
    observed = (bits.abi_major, bits.abi_minor)
    lowest = tuple(int(each) for each in minimum.split(".")) if minimum else ()
    expected = f"ABI {minimum} or later" if minimum else "any ABI"
    text = f"ABI {bits.abi_major}.{bits.abi_minor}"
    return result(checks.GUEST_ABI, expected, text, passed=observed >= lowest)
