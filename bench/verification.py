"""What one verification costs, as a multiple of one bare ECDSA P-384 verification.

Genuine reports where there are any, else simulated ones; no cluster and no network. Each row takes
turns with the bare verification, so that the ratios hold on any machine; the times are medians.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from statistics import median

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from nodeproof.sevsnp import certificates, chain, endorsement
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.certtable import parse_certificate_table
from nodeproof.sevsnp.chain import check_authority
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.profile import signature_padding
from nodeproof.sevsnp.report import parse_report
from nodeproof.sevsnp.verify import verify
from nodeproof_dev import build
from nodeproof_dev.errors import GoMissing
from nodeproof_dev.go_sev_guest import GoSEVGuest
from subjects import Subject, subject
from timing import Measurement, interleaved, throughputs, timed

BLOCK = 40
"""How often a row is taken in each round, in turn with the bare verification."""

THREADS = (1, 2)
THROUGHPUT_ROUNDS = 5
THROUGHPUT_BATCH = 400

KNOWN = "verify(), VEK known"

PEER = "go-sev-guest, its CA certificates loaded before"
PEER_ROUNDS = 3
"""How often go-sev-guest verifies each time that it is asked; it takes its time itself."""

_ECDSA = ECDSA(Prehashed(SHA384()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the ratios of each product; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=10, help="of a block each; default: %(default)s"
    )
    parser.add_argument("--product", type=Product, choices=tuple(Product), help="only this one")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        peer = start_peer(stack)
        for product in (options.product,) if options.product else Product:
            measured = subject(product)
            version = parse_report(measured.report).version
            print(f"{product}, {measured.origin} report of version {version}")
            show_times(measured, peer, options.rounds)
            show_throughputs(measured)
    return 0


def start_peer(stack: ExitStack) -> GoSEVGuest | None:
    """Return go-sev-guest, running until the stack ends; None where there is no Go."""
    try:
        binary = build.binary_of(build.GO_SEV_GUEST, fetch_go=False)
    except GoMissing:
        print("no Go on PATH: go-sev-guest is left out")
        return None
    return stack.enter_context(GoSEVGuest(binary))


def show_times(measured: Subject, peer: GoSEVGuest | None, rounds: int) -> None:
    """Print how long each way to verify a report takes."""
    measurements = {
        KNOWN: timed(whole(measured)),
        "verify(), VEK new, its ASK and ARK known": timed(whole(measured), only_ca_known(measured)),
        "verify(), VEK, ASK and ARK new": timed(whole(measured), forget),
        "the same four signatures, nothing else": timed(four_signatures(measured)),
    }
    if peer and accepts(peer, measured):
        measurements[PEER] = asking(peer, measured)
    rows = interleaved(timed(bare(measured)), measurements, rounds, BLOCK)
    reference = median(row.reference for row in rows.values())
    print(f"  {'bare P-384 verification':48} {reference:6.0f} µs")
    for name, row in rows.items():
        print(f"  {name:48} {row.time:6.0f} µs {row.ratio:6.2f} x bare")
    if PEER in rows:
        times = rows[PEER].ratio / rows[KNOWN].ratio
        print(f"  {'that is, beside ours with the VEK known':58} {times:6.2f} x")


def show_throughputs(measured: Subject) -> None:
    """Print how many reports with a known VEK are verified a second."""
    found = throughputs(whole(measured), THREADS, THROUGHPUT_ROUNDS, THROUGHPUT_BATCH)
    one = found[THREADS[0]].per_second
    for count, rate in found.items():
        name = f"VEK known, {count} thread{'s' * (count > 1)}, {rate.processors:.1f} processors"
        print(f"  {name:48} {rate.per_second:6.0f} /s {rate.per_second / one:6.2f} x 1 thread")


def bare(measured: Subject) -> Callable[[], object]:
    """Return one verification of the report's signature, with a key that has been used before."""
    report, key = parse_report(measured.report), load_certificates(measured.certificates)[0]
    signature = encode_dss_signature(report.signature_r, report.signature_s)
    digest = hashlib.sha384(report.signed).digest()
    public_key = key.public_key
    assert isinstance(public_key, EllipticCurvePublicKey)
    return lambda: public_key.verify(signature, digest, _ECDSA)


def whole(measured: Subject) -> Callable[[], object]:
    """Return a verification from the bytes of a report and of a host's certificate table."""
    table, report_data = measured.table, parse_report(measured.report).report_data

    def run() -> object:
        return verify(
            measured.report,
            parse_certificate_table(table),
            anchors=measured.anchors,
            now=measured.at,
            report_data=report_data,
        )

    run()
    return run


def four_signatures(measured: Subject) -> Callable[[], object]:
    """Return what no verifier in Python can do without: three keys and four signatures."""
    loaded = load_certificates(measured.certificates)
    report = parse_report(measured.report)
    signature = encode_dss_signature(report.signature_r, report.signature_s)
    parts = [(each.der, each.signature, each.signed) for each in loaded]

    def run() -> None:
        vek, ask, ark = (x509.load_der_x509_certificate(der).public_key() for der, _, _ in parts)
        for issuer, (_, made, signed) in zip((ask, ark, ark), parts, strict=True):
            assert isinstance(issuer, RSAPublicKey)
            issuer.verify(made, signed, signature_padding(), SHA384())
        assert isinstance(vek, EllipticCurvePublicKey)
        vek.verify(signature, hashlib.sha384(report.signed).digest(), _ECDSA)

    return run


def forget() -> None:
    """Make every certificate one that was never seen before."""
    certificates._load.cache_clear()  # noqa: SLF001 - only a benchmark wants to forget
    chain._check_link.cache_clear()  # noqa: SLF001 - only a benchmark wants to forget
    endorsement.vek_extensions.cache_clear()


def only_ca_known(measured: Subject) -> Callable[[], None]:
    """Return what makes the VEK one that was never seen before, its ASK and ARK known."""

    def prepare() -> None:
        forget()
        ask, ark = load_certificates(measured.certificates[1:])
        check_authority(ask, ark, measured.anchors, measured.at)

    return prepare


def accepts(peer: GoSEVGuest, measured: Subject) -> bool:
    """Tell whether go-sev-guest can be timed with this report, and print why it cannot."""
    verdict = peer.verify(measured.report, measured.certificates, at=measured.at)
    if not verdict.accepted:
        print(f"  go-sev-guest refuses it: {verdict.error[:60]}...")
    return verdict.accepted


def asking(peer: GoSEVGuest, measured: Subject) -> Measurement:
    """Return the measurement of go-sev-guest's whole verification."""
    report, chain_, at = measured.report, measured.certificates, measured.at
    return lambda: peer.bench(report, chain_, at=at, rounds=PEER_ROUNDS) / 1000


if __name__ == "__main__":
    sys.exit(main())
