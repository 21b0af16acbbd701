from __future__ import annotations

import pytest

from nodeproof.errors import ProductUnknown
from nodeproof.sevsnp.products import CPUID, Product, identify
from nodeproof.sevsnp.tcb import MILAN_LAYOUT, TURIN_LAYOUT


@pytest.mark.parametrize(
    ("family", "model", "name", "product"),
    [
        (0x19, 0x00, "Milan", Product.MILAN),
        (0x19, 0x0F, "Milan", Product.MILAN),
        (0x19, 0x10, "Genoa", Product.GENOA),
        (0x19, 0x1F, "Genoa", Product.GENOA),
        (0x19, 0xA0, "Bergamo", Product.GENOA),
        (0x19, 0xAF, "Bergamo", Product.GENOA),
        (0x1A, 0x02, "Turin", Product.TURIN),
        (0x1A, 0x11, "Turin Dense", Product.TURIN),
    ],
)
def test_identifies_the_models_of_each_product(
    family: int, model: int, name: str, product: Product
) -> None:
    found = identify(CPUID(family, model, 1))
    assert (found.name, found.product) == (name, product)


@pytest.mark.parametrize(
    ("family", "model"),
    [(0x17, 0x31), (0x19, 0x20), (0x19, 0x9F), (0x19, 0xB0), (0x1A, 0x12), (0x1A, 0x50), (0, 0)],
)
def test_refuses_processors_that_it_does_not_know(family: int, model: int) -> None:
    with pytest.raises(ProductUnknown, match=f"family {family:#04x} model {model:#04x}"):
        identify(CPUID(family, model, 0))


def test_the_layout_of_a_tcb_follows_the_model() -> None:
    assert identify(CPUID(0x19, 0xA0, 2)).tcb_layout is MILAN_LAYOUT
    assert identify(CPUID(0x1A, 0x02, 1)).tcb_layout is TURIN_LAYOUT
