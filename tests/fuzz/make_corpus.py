"""Write the fuzzer's corpus anew: ``PYTHONPATH=tests python -m fuzz.make_corpus``.

Every product and kind of input is in it, what is accepted and what is refused; its names say which.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fuzz.fuzz_verify import CORPUS, NOW, ROOTS, Kind, join
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator import SimulatedAuthority, SimulatedMachine, SimulatedProcessor

_REPORT_DATA = bytes(range(64))

Pieces = list[tuple[Kind, bytes]]


def main() -> None:
    """Make new roots, and with them every input."""
    authorities = [SimulatedAuthority.create(product, NOW) for product in Product]
    ROOTS.write_bytes(b"".join(authority.ark for authority in authorities))
    CORPUS.mkdir(exist_ok=True)
    for old in CORPUS.iterdir():
        old.unlink()
    for authority in authorities:
        for name, pieces in _inputs(authority):
            (CORPUS / f"{name}-{authority.product.lower()}").write_bytes(join(pieces))


def _inputs(authority: SimulatedAuthority) -> Iterator[tuple[str, Pieces]]:
    processor = SimulatedProcessor.create(authority, now=NOW)
    machine = SimulatedMachine.launch(processor, report_version=5)
    report = (Kind.REPORT, machine.attest(_REPORT_DATA))
    chain: Pieces = [(Kind.CERTIFICATE, each) for each in processor.certificates]
    yield "accepted-chain", [report, *chain]
    if authority.product is Product.MILAN:
        yield from _once(authority, processor, report, chain)


def _once(
    authority: SimulatedAuthority,
    processor: SimulatedProcessor,
    report: tuple[Kind, bytes],
    chain: Pieces,
) -> Iterator[tuple[str, Pieces]]:
    """Yield what one product is enough for."""
    older = SimulatedMachine.launch(processor, report_version=3).attest(_REPORT_DATA)
    ask = x509.load_der_x509_certificate(processor.certificates[1])
    revoking = authority.issue_crl(NOW, [ask.serial_number])
    vcek = x509.load_der_x509_certificate(processor.certificates[0]).public_bytes(Encoding.PEM)
    yield "accepted-version-3", [(Kind.REPORT, older), *chain]
    yield "accepted-table", [report, (Kind.CERTIFICATE_TABLE, processor.certificate_table())]
    yield "accepted-crl", [report, *chain, (Kind.CRL, authority.issue_crl(NOW))]
    yield "accepted-pem", [report, (Kind.CERTIFICATE, vcek), *chain[1:]]
    yield "refused-revoked", [report, *chain, (Kind.CRL, revoking)]
    yield "refused-report-alone", [report]
    yield "refused-nothing", []


if __name__ == "__main__":
    main()
