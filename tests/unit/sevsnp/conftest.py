"""Simulated platforms, one a product for the whole run: RSA keys take their time."""

from __future__ import annotations

import pytest

from fakes import simulated
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine


@pytest.fixture(scope="session")
def authority() -> SimulatedAuthority:
    """Who endorses the simulated Milan machine."""
    return simulated.authority(Product.MILAN)


@pytest.fixture(scope="session")
def impostor() -> SimulatedAuthority:
    """Who says the same names with other keys."""
    return simulated.impostor(Product.MILAN)


@pytest.fixture(scope="session")
def machine() -> SimulatedMachine:
    """A simulated Milan machine with reports of version 5."""
    return simulated.machine(Product.MILAN)


@pytest.fixture(scope="session")
def turin() -> SimulatedMachine:
    """A simulated Turin machine with reports of version 5."""
    return simulated.machine(Product.TURIN)


@pytest.fixture(scope="session")
def anchors() -> tuple[TrustAnchor, ...]:
    """The simulated roots of all products."""
    return tuple(simulated.authority(product).anchor() for product in Product)
