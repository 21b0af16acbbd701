"""Simulated evidence for tests: authorities made once a process, machines made from a seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine, SimulatedProcessor

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When the simulated certificates are made; a VCEK lives seven years from the day before."""


def authority(product: Product = Product.MILAN) -> SimulatedAuthority:
    """Return this process's authority for a product; the first call takes about a second."""
    return _authority(product, "ours")


def impostor(product: Product = Product.MILAN) -> SimulatedAuthority:
    """Return another authority for the product: the same names, other keys."""
    return _authority(product, "another")


@cache
def _authority(product: Product, _which: str) -> SimulatedAuthority:
    return SimulatedAuthority.create(product, NOW)


def machine(product: Product = Product.MILAN, *, seed: int = 0, **launch: Any) -> SimulatedMachine:
    """Return a machine whose chip, boot and launch IDs come from the seed.

    ``launch`` goes to ``SimulatedMachine.launch``: measurement, policy, report_version.
    """
    random = Random(seed)  # noqa: S311 - an identity that tests can repeat, not a secret
    processor = SimulatedProcessor.create(authority(product), now=NOW, random=random)
    return SimulatedMachine.launch(processor, random=random, **launch)


def report(of: SimulatedMachine, report_data: bytes = bytes(64), **changes: Any) -> bytes:
    """Return a report that the machine's VCEK has signed although it states something else.

    ``changes`` are fields of ``nodeproof.sevsnp.simulator.encoding.ReportFields``.
    """
    return of.processor.sign(replace(of.report_fields(report_data), **changes))
