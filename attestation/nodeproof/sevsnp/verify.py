"""Is this report genuine, and is it the answer to our question?

``verify`` raises unless an AMD processor whose root key is pinned signed exactly these bytes. What
the report then says may still be unacceptable: that is for ``nodeproof.appraisal``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha384
from hmac import compare_digest
from types import MappingProxyType

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from nodeproof.errors import EndorsementsMissing, ReportDataMismatch, SignatureInvalid
from nodeproof.policy import SignerKind
from nodeproof.sevsnp.bits import SigningKey
from nodeproof.sevsnp.certificates import Certificate, Role, load_certificates
from nodeproof.sevsnp.chain import Chain, first_accepted, first_chain
from nodeproof.sevsnp.crl import NOT_REQUIRED, Revocation, RevocationList, check_revocation
from nodeproof.sevsnp.endorsement import check_endorsement, vek_extensions
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.report import Report
from nodeproof.sevsnp.roots import TrustAnchor
from nodeproof.sevsnp.statement import Statement, check_consistency, read_statement
from nodeproof.sevsnp.tcb import TCBVersion

SIGNERS: Mapping[SigningKey, Role] = MappingProxyType(
    {
        SigningKey.VCEK: Role.VCEK,
        SigningKey.VLEK: Role.VLEK,
    }
)
"""Which kind of certificate belongs to each SIGNING_KEY."""

_ECDSA = ECDSA(Prehashed(SHA384()))


class VerifiedReport(msgspec.Struct, frozen=True):
    """The claims: what a report proved to be genuine says, and who vouches for it."""

    report: Report
    product: Product
    """The product that the pinned root belongs to."""
    cpu_model: str | None
    """None for a report of version 2, which does not tell."""
    signer: SignerKind
    csp_id: str | None
    """The cloud provider whose VLEK signed; None under a VCEK."""
    reported_tcb: TCBVersion
    committed_tcb: TCBVersion
    current_tcb: TCBVersion
    launch_tcb: TCBVersion
    chain: tuple[bytes, bytes, bytes]
    """DER of the VEK, its intermediate and the root that verified."""
    crl: RevocationList | None
    """The newest usable list, which does not name the chain; None if none was at hand."""


class _Endorsed(msgspec.Struct, frozen=True):
    """Who vouches for a report, and which list says that AMD still does."""

    chain: Chain
    crl: RevocationList | None


def verify(
    report: bytes,
    certificates: Iterable[bytes],
    *,
    anchors: Sequence[TrustAnchor],
    now: datetime,
    report_data: bytes | None,
    revocation: Revocation = NOT_REQUIRED,
) -> VerifiedReport:
    """Return what a report proves.

    Args:
        report: The report as received, 1,184 bytes.
        certificates: Untrusted certificates, DER or PEM, in any order: at most 32 of 16 KiB each.
            Of several VEKs the one that fits is used; what is not AMD's is passed over.
        anchors: The root keys to trust.
        now: When the certificates must be in force; with a time zone.
        report_data: The 64 bytes that the report must hold. None leaves them unchecked: then the
            report is genuine, but may be old or somebody else's.
        revocation: AMD's revocation lists, and whether one must be at hand.

    Raises:
        ReportMalformed: Wrong size, reserved bytes or bits used, a value out of its range, or a
            report that contradicts itself.
        ReportVersionUnsupported: A layout that this release does not know.
        ProductUnknown: CPUID values of no known processor.
        CertificateMalformed: A certificate cannot be read, or there are too many.
        EndorsementsMissing: No VEK of the report's kind, or no intermediate or root for it.
        RootUntrusted: The chain's root is not pinned.
        ChainInvalid: A certificate breaks its profile, its dates or its signature.
        EndorsementMismatch: The VEK was issued for another chip, product or firmware.
        SignatureInvalid: The VEK did not sign these bytes.
        SignerRevoked: A list of AMD's names the intermediate or the root.
        RevocationUnknown: A list is required and none of those given can be used.
        ReportDataMismatch: Genuine, but with other REPORT_DATA.
    """
    statement = read_statement(report)
    pool = load_certificates(certificates)
    judge = partial(_judge, statement, revocation, now)
    endorsed = _endorse(statement, pool, anchors, now, judge)
    check_consistency(statement)
    if report_data is not None:
        _check_report_data(statement.report, report_data)
    return _claims(statement, endorsed)


def _endorse(
    statement: Statement,
    pool: Sequence[Certificate],
    anchors: Sequence[TrustAnchor],
    now: datetime,
    judge: Callable[[Chain], _Endorsed],
) -> _Endorsed:
    """Return the chain of the VEK that signed the report, whichever of the pool it is."""
    role = SIGNERS[statement.report.key_info.signing_key]
    attempts = (
        partial(first_chain, vek, pool, anchors, now, judge) for vek in pool if vek.role is role
    )
    return first_accepted(attempts, otherwise=partial(_missing, role, pool))


def _missing(role: Role, pool: Iterable[Certificate]) -> EndorsementsMissing:
    return EndorsementsMissing(
        f"there is no {role} certificate for the report",
        expected=f"a {role} certificate",
        observed=", ".join(sorted({certificate.role for certificate in pool})) or "none of AMD's",
    )


def _judge(statement: Statement, revocation: Revocation, now: datetime, chain: Chain) -> _Endorsed:
    check_endorsement(statement.report, statement.model, statement.reported_tcb, chain.vek)
    _check_signature(statement.report, chain.vek)
    # Last, so that a forged report is called forged even where no list is at hand.
    return _Endorsed(chain, check_revocation(chain, revocation, now))


def _check_signature(report: Report, vek: Certificate) -> None:
    key = vek.public_key
    if not isinstance(key, EllipticCurvePublicKey):
        raise SignatureInvalid("the VEK's key cannot sign reports", expected="EC on P-384")
    signature = encode_dss_signature(report.signature_r, report.signature_s)
    try:
        key.verify(signature, sha384(report.signed).digest(), _ECDSA)
    except InvalidSignature as error:
        raise SignatureInvalid(
            "the VEK did not sign these bytes",
            expected=f"signed by {vek.role} {vek.public_key_sha256}",
        ) from error


def _check_report_data(report: Report, expected: bytes) -> None:
    if not compare_digest(report.report_data, expected):
        raise ReportDataMismatch(
            "the report is genuine but answers something else",
            expected=f"REPORT_DATA {expected.hex()}",
            observed=report.report_data.hex(),
        )


def _claims(statement: Statement, endorsed: _Endorsed) -> VerifiedReport:
    chain = endorsed.chain
    kind = SignerKind.SIMULATED if chain.anchor.simulated else SignerKind(chain.vek.role.value)
    return VerifiedReport(
        report=statement.report,
        product=chain.anchor.product,
        cpu_model=statement.model.name if statement.model else None,
        signer=kind,
        csp_id=vek_extensions(chain.vek).csp_id,
        reported_tcb=statement.reported_tcb,
        committed_tcb=statement.committed_tcb,
        current_tcb=statement.current_tcb,
        launch_tcb=statement.launch_tcb,
        chain=(chain.vek.der, chain.intermediate.der, chain.root.der),
        crl=endorsed.crl,
    )
