"""Trust anchors: the root keys that a chain must end in."""

from __future__ import annotations

from dataclasses import dataclass

from nodeproof.errors import CertificateMalformed
from nodeproof.sevsnp.certificates import Role, load_certificates
from nodeproof.sevsnp.products import Product


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """One pinned root key."""

    product: Product
    """The product whose chain may end in it."""
    public_key_sha256: str
    """SHA-256 of the root's SubjectPublicKeyInfo (RFC 5280, section 4.1), 64 lower-case digits."""
    simulated: bool
    """No hardware stands behind it: everything it endorses is the simulated platform's."""


AMD_ROOTS: tuple[TrustAnchor, ...] = (
    TrustAnchor(
        Product.MILAN,
        "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9",
        simulated=False,
    ),
    TrustAnchor(
        Product.GENOA,
        "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831",
        simulated=False,
    ),
    TrustAnchor(
        Product.TURIN,
        "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08",
        simulated=False,
    ),
)
"""ARK-Milan, ARK-Genoa, ARK-Turin as AMD's key distribution service hands them out (57230).

AMD publishes no list of digests; these were computed from certificates that are byte-identical in
several independent projects. The certificates' own SHA-256 begin 69d063b4, 4c6598d1, 1f084161.
"""


def simulated_anchor(certificate: bytes) -> TrustAnchor:
    """Return the anchor that trusts a simulated root, given its certificate in DER or PEM.

    Raises:
        CertificateMalformed: It is not one certificate of an ARK.
    """
    loaded = load_certificates([certificate])
    if [each.role for each in loaded] != [Role.ARK]:
        raise CertificateMalformed(
            "this is not the certificate of a simulated root",
            expected="one ARK certificate",
            observed=", ".join(each.role for each in loaded) or "none of AMD's names",
        )
    return TrustAnchor(loaded[0].product, loaded[0].public_key_sha256, simulated=True)
