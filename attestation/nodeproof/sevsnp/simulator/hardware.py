"""What simulated processors say of themselves: values as genuine reports of 2026 hold them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nodeproof.sevsnp.products import CPUID, Product
from nodeproof.sevsnp.tcb import TCBVersion

FIRMWARE_VERSION = (1, 55, 65)
"""Major, minor and build of the firmware."""

TCB_VERSIONS: Mapping[Product, TCBVersion] = MappingProxyType(
    {
        Product.MILAN: TCBVersion(fmc=None, bootloader=4, tee=0, snp=27, microcode=222),
        Product.GENOA: TCBVersion(fmc=None, bootloader=10, tee=0, snp=27, microcode=86),
        Product.TURIN: TCBVersion(fmc=1, bootloader=1, tee=1, snp=4, microcode=81),
    }
)
"""The TCB version of a processor unless it is given another."""

CPUIDS: Mapping[Product, CPUID] = MappingProxyType(
    {
        Product.MILAN: CPUID(0x19, 0x01, 0x01),
        Product.GENOA: CPUID(0x19, 0x11, 0x01),
        Product.TURIN: CPUID(0x1A, 0x02, 0x01),
    }
)
"""The CPU model that stands for each product."""

PLATFORM_INFOS: Mapping[Product, int] = MappingProxyType(
    {
        Product.MILAN: 0x25,
        Product.GENOA: 0x25,
        Product.TURIN: 0x65,
    }
)
"""PLATFORM_INFO: SMT and ECC are on, the alias check is done; on Turin IOMMU writes are safe."""

MITIGATIONS: Mapping[Product, int] = MappingProxyType(
    {
        Product.MILAN: 0x0B,
        Product.GENOA: 0x0B,
        Product.TURIN: 0x3F,
    }
)
"""Mitigation vectors, at launch and now; their bits mean something else on each product."""
