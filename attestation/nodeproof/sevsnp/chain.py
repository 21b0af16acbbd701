"""From a VEK to a pinned root: VCEK, ASK, ARK, or VLEK, ASVK, ARK.

Path building of TLS libraries does not fit these certificates (no key usage and no key identifiers
on VEKs), and there are just three links: each is checked by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache, partial
from itertools import product
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA384

from nodeproof.errors import (
    ChainInvalid,
    EndorsementMismatch,
    EndorsementsMissing,
    ReportVersionUnsupported,
    RevocationUnknown,
    RootUntrusted,
    SignatureInvalid,
    SignerRevoked,
    VerificationError,
)
from nodeproof.sevsnp.certificates import (
    INTERMEDIATES,
    Certificate,
    Role,
    common_name,
    issuer_role,
)
from nodeproof.sevsnp.profile import check_profile, signature_padding
from nodeproof.sevsnp.roots import TrustAnchor

T = TypeVar("T")

_CACHED = 1024

_STAGES: tuple[type[VerificationError], ...] = (
    EndorsementsMissing,
    RootUntrusted,
    ChainInvalid,
    EndorsementMismatch,
    ReportVersionUnsupported,
    SignatureInvalid,
    RevocationUnknown,
    SignerRevoked,
)
"""Errors by how far an attempt came before them."""


class Chain(msgspec.Struct, frozen=True):
    """A VEK whose chain ends in a pinned root, every certificate in force."""

    vek: Certificate
    intermediate: Certificate
    root: Certificate
    anchor: TrustAnchor


def first_accepted(
    attempts: Iterable[Callable[[], T]], otherwise: Callable[[], EndorsementsMissing]
) -> T:
    """Return what the first attempt returns that raises nothing.

    Raises:
        VerificationError: None did; this is the error of the one that came furthest, or
            ``otherwise`` if there was none.
    """
    errors: list[VerificationError] = []
    for attempt in attempts:
        try:
            return attempt()
        except VerificationError as error:
            errors.append(error)
    raise max(errors, key=_stage) if errors else otherwise()


def _stage(error: VerificationError) -> int:
    return _STAGES.index(type(error))


def first_chain(
    vek: Certificate,
    pool: Sequence[Certificate],
    anchors: Sequence[TrustAnchor],
    now: datetime,
    judge: Callable[[Chain], T],
) -> T:
    """Return what ``judge`` says of the first chain from a VEK to a pinned root that it accepts.

    There may be several: AMD has issued an intermediate again and revoked its older certificate.

    Raises:
        EndorsementsMissing: The pool holds no intermediate or no root of the VEK's product.
        RootUntrusted: Those that it holds are not pinned.
        ChainInvalid: A certificate breaks its profile or is not in force, or its issuer did not
            sign it.
        VerificationError: ``judge`` raised it of every chain.
    """

    def attempt(intermediate: Certificate, root: Certificate) -> T:
        return judge(_check_chain(vek, intermediate, root, anchors, now))

    intermediates = _select(pool, vek, INTERMEDIATES[vek.role])
    roots = _select(pool, vek, Role.ARK)
    attempts = (
        partial(attempt, intermediate, root) for root, intermediate in product(roots, intermediates)
    )
    missing = partial(_missing, vek, (*intermediates, *roots))
    return first_accepted(attempts, otherwise=missing)


def check_root(root: Certificate, anchors: Sequence[TrustAnchor], now: datetime) -> None:
    """Check a root by itself.

    Raises:
        RootUntrusted: It is not pinned.
        ChainInvalid: It breaks its profile, is not in force, or is not signed by itself.
    """
    _anchor(root, anchors)
    _check_link(root, root)
    _check_dates(root, now)


def check_authority(
    intermediate: Certificate, root: Certificate, anchors: Sequence[TrustAnchor], now: datetime
) -> None:
    """Check an intermediate and its root, of whatever VEK they may be.

    Raises:
        RootUntrusted: The root is not pinned.
        ChainInvalid: One of them breaks its profile, is not in force, or is not signed by the root.
    """
    check_root(root, anchors, now)
    _check_link(intermediate, root)
    _check_dates(intermediate, now)


def _missing(vek: Certificate, found: Iterable[Certificate]) -> EndorsementsMissing:
    wanted = (INTERMEDIATES[vek.role], Role.ARK)
    return EndorsementsMissing(
        f"no certificates lead from the {vek.role} to a root",
        expected=" and ".join(common_name(role, vek.product) for role in wanted),
        observed=", ".join(each.role for each in found) or "neither",
    )


def _select(pool: Iterable[Certificate], vek: Certificate, role: Role) -> list[Certificate]:
    return [each for each in pool if each.role is role and each.product is vek.product]


def _check_chain(
    vek: Certificate,
    intermediate: Certificate,
    root: Certificate,
    anchors: Sequence[TrustAnchor],
    now: datetime,
) -> Chain:
    anchor = _anchor(root, anchors)
    for certificate, issuer in ((root, root), (intermediate, root), (vek, intermediate)):
        _check_link(certificate, issuer)
        _check_dates(certificate, now)
    return Chain(vek=vek, intermediate=intermediate, root=root, anchor=anchor)


def _anchor(root: Certificate, anchors: Iterable[TrustAnchor]) -> TrustAnchor:
    pinned = {each.public_key_sha256: each for each in anchors if each.product is root.product}
    if root.public_key_sha256 in pinned:
        return pinned[root.public_key_sha256]
    raise RootUntrusted(
        f"the key of {common_name(root.role, root.product)} is not pinned",
        expected=", ".join(pinned) or "no root at all",
        observed=root.public_key_sha256,
    )


@lru_cache(maxsize=_CACHED)
def _check_link(certificate: Certificate, issuer: Certificate) -> None:
    """Check all that holds at any time; what passed is remembered, what did not is not."""
    check_profile(certificate)
    key = issuer.public_key
    if issuer.role is not issuer_role(certificate.role) or not isinstance(key, RSAPublicKey):
        raise ChainInvalid(f"a {issuer.role} cannot sign a {certificate.role}")
    if certificate.issuer != issuer.subject:
        raise ChainInvalid(f"the {certificate.role} certificate names another issuer")
    try:
        key.verify(certificate.signature, certificate.signed, signature_padding(), SHA384())
    except InvalidSignature as error:
        raise ChainInvalid(
            f"the signature on the {certificate.role} certificate is wrong",
            expected=f"signed by {issuer.role} {issuer.public_key_sha256}",
        ) from error


def _check_dates(certificate: Certificate, now: datetime) -> None:
    if not certificate.not_before <= now <= certificate.not_after:
        raise ChainInvalid(
            f"the {certificate.role} certificate is not in force",
            expected=f"{certificate.not_before.isoformat()} to {certificate.not_after.isoformat()}",
            observed=now.isoformat(),
        )
