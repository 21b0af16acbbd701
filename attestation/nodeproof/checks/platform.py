"""Checks of PLATFORM_INFO: how the host was set up when the report was made."""

from __future__ import annotations

from nodeproof.checks.check import Check

_BIOS = "Have it set in the host's BIOS, or choose another host."

PLATFORM_SMT = Check(
    id="PlatformSMT",
    title="host's multithreading as the policy asks",
    fields=("firmware.platformInfo.smt",),
    description=(
        "SMT_EN (bit 0): simultaneous multithreading is on, and threads of one core can observe "
        "each other. Nearly all clouds have it on."
    ),
    remedy=_BIOS,
)

PLATFORM_TSME = Check(
    id="PlatformTSME",
    title="host's own memory encryption as the policy asks",
    fields=("firmware.platformInfo.tsme",),
    description=(
        "TSME_EN (bit 1): all of the host's memory is encrypted with one key. The guest's own "
        "encryption does not depend on it."
    ),
    remedy=_BIOS,
)

PLATFORM_ECC = Check(
    id="PlatformECC",
    title="error correction as the policy asks",
    fields=("firmware.platformInfo.ecc",),
    description="ECC_EN (bit 2): memory corrects errors, which makes flipping its bits harder.",
    remedy="Choose a host with ECC memory that has it enabled.",
)

PLATFORM_RAPL_DISABLED = Check(
    id="PlatformRAPLDisabled",
    title="host's power readings as the policy asks",
    fields=("firmware.platformInfo.raplDisabled",),
    description=(
        "RAPL_DIS (bit 3): fine power readings, which can give away secrets, are off. No genuine "
        "report that we know of has it set."
    ),
    remedy=_BIOS,
)

PLATFORM_CIPHERTEXT_HIDING = Check(
    id="PlatformCiphertextHiding",
    title="host's ciphertext hiding as the policy asks",
    fields=("firmware.platformInfo.ciphertextHiding",),
    description=(
        "CIPHERTEXT_HIDING_DRAM_EN (bit 4): the host cannot read the ciphertext of guests' memory, "
        "which gives away what repeats. Milan does not have it."
    ),
    remedy=_BIOS,
)

PLATFORM_ALIAS_CHECK = Check(
    id="PlatformAliasCheck",
    title="memory checked for aliases",
    fields=("firmware.platformInfo.aliasCheck",),
    description=(
        "ALIAS_CHECK_COMPLETE (bit 5): since the last reset no two addresses were found that lead "
        "to the same memory, by which rogue memory modules undo the guest's protection (BadRAM, "
        "AMD-SB-3015). Reports of version 2 never have it set."
    ),
    remedy=(
        "Have the host's firmware updated: the check came with 1.55.22 on Milan and 1.55.38 on "
        "Genoa. If it is newer, the host's memory is suspect."
    ),
)

PLATFORM_IOMMU_WRITE_SAFE = Check(
    id="PlatformIOMMUWriteSafe",
    title="IOMMU writes as the policy asks",
    fields=("firmware.platformInfo.iommuWriteSafe",),
    description=(
        "Bit 6, told on Turin only: the IOMMU's write buffer cannot be abused to write into guests "
        "(AMD-SB-3016)."
    ),
    remedy="Have the host's firmware and system updated. Do not ask it of Milan or Genoa.",
)

PLATFORM_TIO = Check(
    id="PlatformTIO",
    title="trusted I/O as the policy asks",
    fields=("firmware.platformInfo.tio",),
    description="TIO_EN (bit 7): SEV-TIO, by which devices reach into guests' memory, is on.",
    remedy=_BIOS,
)
