"""The catalogue of checks: everything that a policy may hold against genuine evidence.

A check's ID is the word for it everywhere: in NodeAttestations, logs, metrics and documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nodeproof.checks import firmware, guest, launch, platform, signer
from nodeproof.checks.check import Check

__all__ = ["CATALOGUE", "Check"]

CATALOGUE: Mapping[str, Check] = MappingProxyType(
    {
        check.id: check
        for check in (
            signer.SIGNER_KIND,
            signer.CSP_ID,
            signer.PRODUCT,
            signer.REPORT_VERSION,
            signer.ALLOWED_CHIP,
            signer.DENIED_CHIP,
            guest.GUEST_DEBUG,
            guest.MIGRATION_AGENT,
            guest.SMT,
            guest.SINGLE_SOCKET,
            guest.GUEST_CXL,
            guest.GUEST_AES_256_XTS,
            guest.GUEST_RAPL_DISABLED,
            guest.GUEST_CIPHERTEXT_HIDING,
            guest.GUEST_PAGE_SWAP_DISABLED,
            guest.GUEST_ABI,
            launch.VMPL,
            launch.GUEST_SVN,
            launch.FAMILY_ID,
            launch.IMAGE_ID,
            launch.HOST_DATA,
            launch.ID_BLOCK,
            launch.ID_KEY,
            launch.AUTHOR_KEY,
            firmware.CPU_MODEL,
            firmware.REPORTED_TCB,
            firmware.COMMITTED_TCB,
            firmware.LAUNCH_TCB,
            firmware.FIRMWARE_VERSION,
            firmware.PROVISIONAL_FIRMWARE,
            firmware.LAUNCH_MITIGATIONS,
            firmware.CURRENT_MITIGATIONS,
            platform.PLATFORM_SMT,
            platform.PLATFORM_TSME,
            platform.PLATFORM_ECC,
            platform.PLATFORM_RAPL_DISABLED,
            platform.PLATFORM_CIPHERTEXT_HIDING,
            platform.PLATFORM_ALIAS_CHECK,
            platform.PLATFORM_IOMMU_WRITE_SAFE,
            platform.PLATFORM_TIO,
            launch.MEASUREMENT,
        )
    }
)
"""Every check of this release by its ID, in the order in which appraisal reports them."""
