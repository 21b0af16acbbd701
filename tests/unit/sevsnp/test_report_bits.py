from __future__ import annotations

import pytest

from nodeproof.sevsnp.bits import GuestPolicy, KeyInfo, PlatformInfo, SigningKey

POLICY_BITS = {
    "smt": 16,
    "migrate_ma": 18,
    "debug": 19,
    "single_socket": 20,
    "cxl_allow": 21,
    "mem_aes_256_xts": 22,
    "rapl_dis": 23,
    "ciphertext_hiding_dram": 24,
    "page_swap_disable": 25,
}
PLATFORM_BITS = {
    "smt_en": 0,
    "tsme_en": 1,
    "ecc_en": 2,
    "rapl_dis": 3,
    "ciphertext_hiding_dram_en": 4,
    "alias_check_complete": 5,
    "iommu_write_safe": 6,
    "tio_en": 7,
}


@pytest.mark.parametrize("name", POLICY_BITS)
def test_policy_bit_is_where_amd_put_it(name: str) -> None:
    policy = GuestPolicy(1 << POLICY_BITS[name])
    assert {bit for bit in POLICY_BITS if getattr(policy, bit)} == {name}


@pytest.mark.parametrize("name", PLATFORM_BITS)
def test_platform_bit_is_where_amd_put_it(name: str) -> None:
    info = PlatformInfo(1 << PLATFORM_BITS[name])
    assert {bit for bit in PLATFORM_BITS if getattr(info, bit)} == {name}


def test_policy_holds_the_abi_version() -> None:
    policy = GuestPolicy(0x30000 | 1 << 8 | 55)
    assert (policy.abi_major, policy.abi_minor) == (1, 55)


@pytest.mark.parametrize("key", SigningKey)
def test_key_info_names_the_signing_key(key: SigningKey) -> None:
    assert KeyInfo(key << 2).signing_key is key


def test_key_info_has_two_flags() -> None:
    assert (KeyInfo(1).author_key_en, KeyInfo(1).mask_chip_key) == (True, False)
    assert (KeyInfo(2).author_key_en, KeyInfo(2).mask_chip_key) == (False, True)
