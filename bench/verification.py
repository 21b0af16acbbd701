"""What one verification costs, as a multiple of one bare ECDSA P-384 verification.

Everything runs on the simulated platform, in one process, round by round: what slows one slows the
others of the same round, so that the ratios hold on any machine.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from nodeproof.sevsnp import certificates, chain, endorsement
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.report import parse_report
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine, SimulatedProcessor
from nodeproof.sevsnp.verify import verify

MICROSECONDS = 1_000_000
REPORT_DATA = bytes(range(64))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the two ratios; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500, help="default: %(default)s")
    parser.add_argument(
        "--product",
        type=Product,
        choices=tuple(Product),
        default=Product.MILAN,
        help="default: %(default)s",
    )
    options = parser.parse_args(arguments)
    now = datetime.now(UTC)
    bare, known, first = measure(*prepare(options.product, now), rounds=options.rounds)
    print(f"bare P-384 verification             {bare:7.0f} µs")
    print(f"verify(), chain known               {known:7.0f} µs   {known / bare:.2f} x bare")
    print(f"verify(), chain never seen before   {first:7.0f} µs   {first / bare:.2f} x bare")
    return 0


def prepare(product: Product, now: datetime) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return a bare verification of a report's signature, and a whole one of the report."""
    authority = SimulatedAuthority.create(product, now)
    machine = SimulatedMachine.launch(SimulatedProcessor.create(authority, now=now))
    report, table = machine.attest(REPORT_DATA), machine.certificate_table()
    anchors = (authority.anchor(),)
    parsed, key = parse_report(report), machine.processor.vcek_key.public_key()
    signature = encode_dss_signature(parsed.signature_r, parsed.signature_s)
    digest, algorithm = hashlib.sha384(parsed.signed).digest(), ECDSA(Prehashed(SHA384()))

    def bare() -> None:
        key.verify(signature, digest, algorithm)

    def whole() -> object:
        return verify(
            report,
            parse_certificate_table(table),
            anchors=anchors,
            now=now,
            report_data=REPORT_DATA,
        )

    return bare, whole


def measure(
    bare: Callable[[], object], whole: Callable[[], object], rounds: int
) -> tuple[float, float, float]:
    """Return the median times of bare, known and first in µs; each is taken in turn with bare."""
    times: tuple[list[float], list[float], list[float]] = ([], [], [])
    whole()
    for _ in range(rounds):
        times[1].append(timed(whole))
        times[0].append(timed(bare))
    for _ in range(rounds):
        forget()
        times[2].append(timed(whole))
        times[0].append(timed(bare))
    return median(times[0]), median(times[1]), median(times[2])


def timed(work: Callable[[], object]) -> float:
    """Return how long one call takes, in µs."""
    begin = perf_counter()
    work()
    return (perf_counter() - begin) * MICROSECONDS


def forget() -> None:
    """Make every certificate one that was never seen before."""
    certificates._load.cache_clear()  # noqa: SLF001 - only a benchmark wants to forget
    chain._check_link.cache_clear()  # noqa: SLF001 - only a benchmark wants to forget
    endorsement.vek_extensions.cache_clear()


if __name__ == "__main__":
    sys.exit(main())
