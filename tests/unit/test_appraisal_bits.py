from __future__ import annotations

import msgspec
import pytest

from cases.appraising import judge, passes
from fakes.claims import claims
from nodeproof.policy import FirmwareRules, GuestRules, PlatformRules, Requirement
from nodeproof.sevsnp.bits import GuestPolicy, PlatformInfo

GUEST_BITS = [
    ("SMT", "smt", 16),
    ("MigrationAgent", "migration_agent", 18),
    ("GuestDebug", "debug", 19),
    ("SingleSocket", "single_socket", 20),
    ("GuestCXL", "cxl", 21),
    ("GuestAES256XTS", "aes_256_xts", 22),
    ("GuestRAPLDisabled", "rapl_disabled", 23),
    ("GuestCiphertextHiding", "ciphertext_hiding", 24),
    ("GuestPageSwapDisabled", "page_swap_disabled", 25),
]
PLATFORM_BITS = [
    ("PlatformSMT", "smt", 0),
    ("PlatformTSME", "tsme", 1),
    ("PlatformECC", "ecc", 2),
    ("PlatformRAPLDisabled", "rapl_disabled", 3),
    ("PlatformCiphertextHiding", "ciphertext_hiding", 4),
    ("PlatformAliasCheck", "alias_check", 5),
    ("PlatformIOMMUWriteSafe", "iommu_write_safe", 6),
    ("PlatformTIO", "tio", 7),
]
REQUIREMENTS = [
    (Requirement.REQUIRED, [False, True]),
    (Requirement.FORBIDDEN, [True, False]),
    (Requirement.ANY, [True, True]),
]


def platform(**rules: Requirement) -> FirmwareRules:
    return FirmwareRules(platform_info=PlatformRules(**rules))


@pytest.mark.parametrize(("name", "rule", "bit"), GUEST_BITS, ids=str)
@pytest.mark.parametrize(("requirement", "expected"), REQUIREMENTS)
def test_a_bit_of_the_guest_policy_is_held_against_its_rule(
    name: str, rule: str, bit: int, requirement: Requirement, expected: list[bool]
) -> None:
    # All other bits are the opposite, so that no check looks at a neighbour's.
    clear, is_set = GuestPolicy(~(1 << bit) & (1 << 26) - 1), GuestPolicy(1 << bit)
    rules = msgspec.structs.replace(GuestRules(), **{rule: requirement})
    assert [passes(name, claims(policy=bits), guest=rules) for bits in (clear, is_set)] == expected


@pytest.mark.parametrize(("name", "rule", "bit"), PLATFORM_BITS, ids=str)
@pytest.mark.parametrize(("requirement", "expected"), REQUIREMENTS)
def test_a_bit_of_platform_info_is_held_against_its_rule(
    name: str, rule: str, bit: int, requirement: Requirement, expected: list[bool]
) -> None:
    states = PlatformInfo(~(1 << bit) & 0xFF), PlatformInfo(1 << bit)
    rules = platform(**{rule: requirement})
    outcomes = [passes(name, claims(platform_info=bits), firmware=rules) for bits in states]
    assert outcomes == expected


def test_a_debuggable_guest_is_told_in_words() -> None:
    result = judge("GuestDebug", claims(policy=GuestPolicy(0xB0000)))
    assert (result.expected, result.observed) == ("debugging forbidden", "debugging allowed")


def test_the_alias_check_is_required_unless_the_policy_says_otherwise() -> None:
    old = claims(platform_info=PlatformInfo(0x01))
    result = judge("PlatformAliasCheck", old)
    assert (result.outcome, result.expected) == ("Failed", "alias check complete")
    assert result.observed == "alias check not complete"
    assert passes("PlatformAliasCheck", old, firmware=platform(alias_check=Requirement.ANY))


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (0x0000, False),
        (0x0119, False),
        (0x0036, False),
        (0x0137, True),
        (0x0138, True),
        (0x0200, True),
    ],
)
def test_the_abi_is_compared_major_first(stated: int, *, expected: bool) -> None:
    guest = claims(policy=GuestPolicy(0x30000 | stated))
    assert passes("GuestABI", guest, guest=GuestRules(minimum_abi="1.55")) is expected


def test_any_abi_will_do_unless_the_policy_asks() -> None:
    assert passes("GuestABI")


def test_an_abi_that_is_too_old_is_told() -> None:
    guest = claims(policy=GuestPolicy(0x3001F))
    result = judge("GuestABI", guest, guest=GuestRules(minimum_abi="1.51"))
    assert (result.expected, result.observed) == ("ABI 1.51 or later", "ABI 0.31")
