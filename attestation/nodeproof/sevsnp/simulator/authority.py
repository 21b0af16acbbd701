"""The stand-in for AMD: a root and an intermediate key of its own, for one product."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding

from nodeproof.errors import CertificateMalformed
from nodeproof.sevsnp.certificates import Role, load_certificates
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.profile import RSA_EXPONENT, RSA_KEY_SIZE
from nodeproof.sevsnp.roots import TrustAnchor, simulated_anchor
from nodeproof.sevsnp.simulator.files import read_key, write_key, write_public
from nodeproof.sevsnp.simulator.issuing import (
    Signer,
    issue_ca,
    issue_crl,
    issue_vek,
    vcek_extensions,
)
from nodeproof.sevsnp.tcb import TCBVersion

ARK_FILE = "ark.pem"
"""The root's certificate: what an operator pins."""

ASK_FILE = "ask.pem"
ARK_KEY_FILE = "ark.key"
ASK_KEY_FILE = "ask.key"


@dataclass(frozen=True, slots=True)
class SimulatedAuthority:
    """ARK and ASK of one product, with their private keys."""

    product: Product
    ark: bytes
    """The root's certificate, PEM."""
    ask: bytes
    """The intermediate's certificate, PEM."""
    ark_key: RSAPrivateKey = field(repr=False)
    ask_key: RSAPrivateKey = field(repr=False)

    @classmethod
    def create(cls, product: Product, now: datetime) -> Self:
        """Return a new authority; its two keys take about a second to find."""
        ark_key, ask_key = _new_key(), _new_key()
        signer = Signer(product, ark_key, now)
        ark = issue_ca(Role.ARK, ark_key.public_key(), signer)
        ask = issue_ca(Role.ASK, ask_key.public_key(), signer)
        return cls(
            product=product,
            ark=ark.public_bytes(Encoding.PEM),
            ask=ask.public_bytes(Encoding.PEM),
            ark_key=ark_key,
            ask_key=ask_key,
        )

    def anchor(self) -> TrustAnchor:
        """Return what makes a verifier trust this authority, marked as simulated."""
        return simulated_anchor(self.ark)

    def issue_vcek(
        self, public_key: EllipticCurvePublicKey, chip_id: bytes, tcb: TCBVersion, now: datetime
    ) -> bytes:
        """Return the certificate (DER) of a chip's VCEK at this TCB version."""
        extensions = vcek_extensions(self.product, chip_id, tcb)
        signer = Signer(self.product, self.ask_key, now)
        return issue_vek(Role.VCEK, public_key, extensions, signer)

    def issue_crl(self, now: datetime, revoked: Iterable[int] = ()) -> bytes:
        """Return the revocation list (DER) of this moment, with these serial numbers on it."""
        return issue_crl(revoked, Signer(self.product, self.ark_key, now))

    def save(self, directory: Path) -> None:
        """Write certificates and private keys; the keys for their owner alone."""
        write_public(directory / ARK_FILE, self.ark)
        write_public(directory / ASK_FILE, self.ask)
        write_key(directory / ARK_KEY_FILE, self.ark_key)
        write_key(directory / ASK_KEY_FILE, self.ask_key)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Return the authority that was saved there.

        Raises:
            OSError: A file is missing or cannot be read.
            CertificateMalformed: A file does not hold what ``save`` wrote.
        """
        ark = (directory / ARK_FILE).read_bytes()
        return cls(
            product=simulated_anchor(ark).product,
            ark=ark,
            ask=(directory / ASK_FILE).read_bytes(),
            ark_key=_read_rsa_key(directory / ARK_KEY_FILE),
            ask_key=_read_rsa_key(directory / ASK_KEY_FILE),
        )

    def certificates(self) -> tuple[bytes, bytes]:
        """Return ASK and ARK in DER, as they go into a machine's certificate table."""
        ask, ark = load_certificates((self.ask, self.ark))
        return ask.der, ark.der


def _new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=RSA_EXPONENT, key_size=RSA_KEY_SIZE)


def _read_rsa_key(path: Path) -> RSAPrivateKey:
    key = read_key(path)
    if not isinstance(key, RSAPrivateKey):
        raise CertificateMalformed(f"{path.name} holds no RSA key")
    return key
