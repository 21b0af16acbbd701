"""The bit fields of a report, every bit by its name (AMD 56860, ATTESTATION_REPORT)."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from nodeproof.errors import ReportMalformed

_BYTE = 0xFF


def _bit(value: int, position: int) -> bool:
    return bool(value >> position & 1)


class GuestPolicy(msgspec.Struct, frozen=True):
    """POLICY, 64 bits: what the guest's owner allows and demands; enforced by the firmware."""

    value: int

    @property
    def abi_minor(self) -> int:
        """Lowest minor ABI version that may run the guest (bits 7:0)."""
        return self.value & _BYTE

    @property
    def abi_major(self) -> int:
        """Lowest major ABI version that may run the guest (bits 15:8)."""
        return self.value >> 8 & _BYTE

    @property
    def smt(self) -> bool:
        """Simultaneous multithreading is allowed (bit 16)."""
        return _bit(self.value, 16)

    @property
    def migrate_ma(self) -> bool:
        """A migration agent may be bound to the guest (bit 18)."""
        return _bit(self.value, 18)

    @property
    def debug(self) -> bool:
        """The host may decrypt the guest's memory (bit 19)."""
        return _bit(self.value, 19)

    @property
    def single_socket(self) -> bool:
        """The guest may run on one socket only (bit 20)."""
        return _bit(self.value, 20)

    @property
    def cxl_allow(self) -> bool:
        """CXL devices and memory may be present (bit 21)."""
        return _bit(self.value, 21)

    @property
    def mem_aes_256_xts(self) -> bool:
        """Memory encryption must be AES-256-XTS (bit 22)."""
        return _bit(self.value, 22)

    @property
    def rapl_dis(self) -> bool:
        """Running average power limit readings must be off (bit 23)."""
        return _bit(self.value, 23)

    @property
    def ciphertext_hiding_dram(self) -> bool:
        """Ciphertext hiding for DRAM must be on (bit 24)."""
        return _bit(self.value, 24)

    @property
    def page_swap_disable(self) -> bool:
        """The host may not move or swap the guest's pages (bit 25)."""
        return _bit(self.value, 25)

    def check(self) -> None:
        """Check the reserved bits.

        Raises:
            ReportMalformed: Bit 17 is not set, or one of the bits 63:26 is.
        """
        if not _bit(self.value, 17) or self.value >> 26:
            raise ReportMalformed(
                "POLICY has reserved bits of the wrong value",
                expected="bit 17 set, bits 63:26 zero",
                observed=f"{self.value:#x}",
            )


class PlatformInfo(msgspec.Struct, frozen=True):
    """PLATFORM_INFO, 64 bits: how the host was set up when the report was made."""

    value: int

    @property
    def smt_en(self) -> bool:
        """Simultaneous multithreading is on (bit 0)."""
        return _bit(self.value, 0)

    @property
    def tsme_en(self) -> bool:
        """Transparent memory encryption is on (bit 1)."""
        return _bit(self.value, 1)

    @property
    def ecc_en(self) -> bool:
        """Memory has error correction (bit 2)."""
        return _bit(self.value, 2)

    @property
    def rapl_dis(self) -> bool:
        """Running average power limit readings are off (bit 3)."""
        return _bit(self.value, 3)

    @property
    def ciphertext_hiding_dram_en(self) -> bool:
        """Ciphertext hiding for DRAM is on (bit 4)."""
        return _bit(self.value, 4)

    @property
    def alias_check_complete(self) -> bool:
        """No aliased memory was found since the last reset, AMD-SB-3015 (bit 5)."""
        return _bit(self.value, 5)

    @property
    def iommu_write_safe(self) -> bool:
        """The IOMMU's write buffer cannot be abused, AMD-SB-3016 (bit 6, Turin)."""
        return _bit(self.value, 6)

    @property
    def tio_en(self) -> bool:
        """SEV trusted I/O is on (bit 7)."""
        return _bit(self.value, 7)

    def check(self) -> None:
        """Check the reserved bits.

        Raises:
            ReportMalformed: One of the bits 63:8 is set.
        """
        if self.value >> 8:
            raise ReportMalformed(
                "PLATFORM_INFO has reserved bits set",
                expected="bits 63:8 zero",
                observed=f"{self.value:#x}",
            )


class SigningKey(IntEnum):
    """SIGNING_KEY: what signed the report; the values 2 to 6 are reserved."""

    VCEK = 0
    VLEK = 1
    NONE = 7


class KeyInfo(msgspec.Struct, frozen=True):
    """KEY_INFO, 32 bits: which keys stand behind the report."""

    value: int

    @property
    def author_key_en(self) -> bool:
        """AUTHOR_KEY_DIGEST holds a digest (bit 0)."""
        return _bit(self.value, 0)

    @property
    def mask_chip_key(self) -> bool:
        """The host keeps the firmware from signing with the VCEK (bit 1)."""
        return _bit(self.value, 1)

    @property
    def signing_key(self) -> SigningKey:
        """What signed the report (bits 4:2)."""
        return SigningKey(self.value >> 2 & 0b111)

    def check(self) -> None:
        """Check the reserved bits, and that there is a signature at all.

        Raises:
            ReportMalformed: A reserved bit or SIGNING_KEY value is used, or the report is unsigned.
        """
        if self.value >> 5 or self.value >> 2 & 0b111 not in {SigningKey.VCEK, SigningKey.VLEK}:
            raise ReportMalformed(
                "KEY_INFO names no known signing key",
                expected="SIGNING_KEY 0 (VCEK) or 1 (VLEK), bits 31:5 zero",
                observed=f"{self.value:#x}",
            )
