"""Products and CPU models: who makes reports, and in which layout.

A *product* is a line with a root key of its own; a *CPU model* is what the report's CPUID fields
name. Several models share one product, but each has its own microcode versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import msgspec

from nodeproof.errors import ProductUnknown
from nodeproof.sevsnp.tcb import MILAN_LAYOUT, TURIN_LAYOUT, TCBLayout


class Product(StrEnum):
    """A product line, spelt as in the names of AMD's certificates (57230)."""

    MILAN = "Milan"
    GENOA = "Genoa"
    TURIN = "Turin"


TCB_LAYOUTS: Mapping[Product, TCBLayout] = MappingProxyType(
    {
        Product.MILAN: MILAN_LAYOUT,
        Product.GENOA: MILAN_LAYOUT,
        Product.TURIN: TURIN_LAYOUT,
    }
)
"""How each product writes a TCB_VERSION; it follows the product, never the report's version."""

STRUCT_VERSIONS: Mapping[Product, int] = MappingProxyType(
    {
        Product.MILAN: 0,
        Product.GENOA: 0,
        Product.TURIN: 1,
    }
)
"""``structVersion`` in the VEK certificates of each product (57230)."""

HW_ID_SIZES: Mapping[Product, int] = MappingProxyType(
    {
        Product.MILAN: 64,
        Product.GENOA: 64,
        Product.TURIN: 8,
    }
)
"""Bytes of ``hwID`` in a VCEK; the rest of the report's CHIP_ID is zero (57230)."""


class CPUID(msgspec.Struct, frozen=True):
    """Who computed the report, as CPUID leaf 1 tells it (AMD 56860, report version 3 and later)."""

    family: int
    """Base and extended family added up."""
    model: int
    """Extended model in the high four bits, base model in the low four."""
    stepping: int

    def __str__(self) -> str:
        return f"family {self.family:#04x} model {self.model:#04x} stepping {self.stepping:#04x}"


@dataclass(frozen=True, slots=True)
class CPUModel:
    """A kind of processor that the report's CPUID names."""

    name: str
    product: Product

    @property
    def tcb_layout(self) -> TCBLayout:
        """How this model writes a TCB_VERSION."""
        return TCB_LAYOUTS[self.product]


_MODELS: tuple[tuple[int, range, CPUModel], ...] = (
    (0x19, range(0x10), CPUModel("Milan", Product.MILAN)),
    (0x19, range(0x10, 0x20), CPUModel("Genoa", Product.GENOA)),
    # Siena has the model numbers of Bergamo; both are endorsed by Genoa's keys.
    (0x19, range(0xA0, 0xB0), CPUModel("Bergamo", Product.GENOA)),
    (0x1A, range(0x10), CPUModel("Turin", Product.TURIN)),
    (0x1A, range(0x10, 0x12), CPUModel("Turin Dense", Product.TURIN)),
)
"""CPUID family and models of each processor; anything outside these ranges is refused."""


def identify(cpuid: CPUID) -> CPUModel:
    """Return the CPU model with these CPUID values.

    Raises:
        ProductUnknown: No processor known to this release has them.
    """
    for family, models, model in _MODELS:
        if cpuid.family == family and cpuid.model in models:
            return model
    raise ProductUnknown(
        "the report comes from an unknown processor",
        expected="a processor of the products " + ", ".join(Product),
        observed=str(cpuid),
    )
