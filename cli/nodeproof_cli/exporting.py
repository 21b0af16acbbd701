"""``bundle export``: fetch what is missing, keep what verifies, say what is not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nodeproof.sevsnp.bundle import Bundle
from nodeproof.sevsnp.certificates import INTERMEDIATES, Role
from nodeproof.sevsnp.crl import NOT_REQUIRED
from nodeproof.sevsnp.kds import CAName, CRLName, vcek_names
from nodeproof.sevsnp.products import Product
from nodeproof_cli.asking import Asker
from nodeproof_cli.fetching import fetch_endorsements, obtain
from nodeproof_cli.gathering import Gathered
from nodeproof_cli.holding import Holding
from nodeproof_cli.outcome import examine
from nodeproof_cli.surroundings import KDSAddress, Surroundings, tell


@dataclass(frozen=True, slots=True)
class Export:
    """A bundle, and what it lacks of what was asked for."""

    bundle: Bundle
    missing: tuple[str, ...]


async def fetch_missing(
    gathered: Gathered,
    products: Iterable[Product],
    holding: Holding,
    address: KDSAddress,
    surroundings: Surroundings,
) -> None:
    """Fetch the VCEKs that reports lack, and chains and the newest lists of all products.

    Raises:
        Unusable: The key service cannot be asked at all.
    """
    async with surroundings.connect(address) as kds:
        asker = Asker(kds, surroundings)
        for name in chains(products):
            await obtain(name, holding, asker)
        for number, (report, origin) in enumerate(gathered.reports.items(), start=1):
            if not is_endorsed(report, holding, surroundings):
                tell(f"{origin} ({number} of {len(gathered.reports)})")
                await fetch_endorsements(report, holding, asker)
        for vcek, origin in gathered.awaited.items():
            if not holding.has(vcek):
                tell(f"{origin} waits for a VCEK")
                await obtain(CAName(vcek.product, Role.ASK), holding, asker)
                await obtain(vcek, holding, asker)
        for chain in holding.chains:
            await obtain(CRLName(chain.product, chain.intermediate), holding, asker, anew=True)


def export(
    gathered: Gathered, products: Iterable[Product], holding: Holding, surroundings: Surroundings
) -> Export:
    """Return the bundle of all that is at hand and verifies."""
    bundle = Bundle(surroundings.clock(), holding.certificates, holding.crls)
    veks = _missing_veks(gathered, holding, surroundings)
    return Export(bundle, (*veks, *_missing_of_products(products, holding)))


def chains(products: Iterable[Product]) -> tuple[CAName, ...]:
    """Return both chains of each product."""
    return tuple(
        CAName(product, intermediate)
        for product in products
        for intermediate in INTERMEDIATES.values()
    )


def is_endorsed(report: bytes, holding: Holding, surroundings: Surroundings) -> bool:
    """Tell whether the VEK of a report and its chain are at hand."""
    names = vcek_names(report)
    if names:
        return any(holding.has(name) for name in names)
    outcome = examine(
        report,
        holding.without_vceks,
        anchors=surroundings.anchors,
        now=surroundings.clock(),
        revocation=NOT_REQUIRED,
    )
    return outcome.error is None


def _missing_veks(
    gathered: Gathered, holding: Holding, surroundings: Surroundings
) -> Iterator[str]:
    for report, origin in gathered.reports.items():
        if not is_endorsed(report, holding, surroundings):
            wanted = " or ".join(map(str, vcek_names(report)))
            yield f"{origin}: no {wanted or 'VLEK'}"
    for name, origin in gathered.awaited.items():
        if not holding.has(name):
            yield f"{origin}: no {name}"


def _missing_of_products(products: Iterable[Product], holding: Holding) -> Iterator[str]:
    wanted = {*products, *(chain.product for chain in holding.chains)}
    for product in sorted(wanted):
        names = [CAName(product, role) for role in (Role.ASK, Role.ASVK)]
        if not any(holding.has(name) for name in names):
            yield f"{product}: no chain to its root"
        if not holding.has(CRLName(product, Role.ASK)):
            yield f"{product}: no revocation list in force"
