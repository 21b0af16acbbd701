"""Which certificates of a folder to show the verifier: it looks at few, a folder may hold many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from nodeproof.errors import VerificationError
from nodeproof.sevsnp.certificates import INTERMEDIATES, MAX_CERTIFICATES, Certificate, Role
from nodeproof.sevsnp.endorsement import check_endorsement
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.statement import Statement
from nodeproof.sevsnp.verify import SIGNERS

_MAX_ROOTS = 8
_MAX_INTERMEDIATES = 8
_MAX_VEKS = MAX_CERTIFICATES - _MAX_ROOTS - _MAX_INTERMEDIATES


def candidates(
    pool: Iterable[Certificate], statement: Statement, anchors: Iterable[TrustAnchor], now: datetime
) -> Iterator[tuple[bytes, ...]]:
    """Yield groups of at most ``MAX_CERTIFICATES`` (DER), the most promising first.

    All VEKs come up in one group or another, each time with the same roots and intermediates. This
    is about order alone: nothing that the verifier would accept becomes acceptable here.
    """
    pool = list(pool)
    pinned = {anchor.public_key_sha256 for anchor in anchors}
    signer = SIGNERS[statement.report.key_info.signing_key]
    roots = sorted(_of(pool, (Role.ARK,)), key=lambda root: root.public_key_sha256 not in pinned)
    intermediates = sorted(
        _of(pool, INTERMEDIATES.values()), key=lambda each: each.role is not INTERMEDIATES[signer]
    )
    veks = sorted(_of(pool, INTERMEDIATES), key=lambda vek: _distance(vek, signer, statement, now))
    authorities = [*roots[:_MAX_ROOTS], *intermediates[:_MAX_INTERMEDIATES]]
    for start in range(0, max(len(veks), 1), _MAX_VEKS):
        group = [*veks[start : start + _MAX_VEKS], *authorities]
        yield tuple(certificate.der for certificate in group)


def _of(pool: Sequence[Certificate], roles: Iterable[Role]) -> list[Certificate]:
    wanted = set(roles)
    return [certificate for certificate in pool if certificate.role in wanted]


def _distance(vek: Certificate, signer: Role, statement: Statement, now: datetime) -> list[bool]:
    """Return what speaks against a VEK, the weightiest first."""
    in_force = vek.not_before <= now <= vek.not_after
    return [vek.role is not signer, not _fits(vek, statement), not in_force]


def _fits(vek: Certificate, statement: Statement) -> bool:
    try:
        check_endorsement(statement.report, statement.model, statement.reported_tcb, vek)
    except VerificationError:
        return False
    return True
