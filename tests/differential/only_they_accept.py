"""Evidence that go-sev-guest accepts and we refuse."""

from __future__ import annotations

from differential.disagreement import Disagreement, all_of, any_of, we_refuse
from differential.judged import Judged
from nodeproof.errors import (
    CertificateMalformed,
    ChainInvalid,
    EndorsementMismatch,
    EndorsementsMissing,
    ProductUnknown,
    ReportMalformed,
    RevocationUnknown,
    RootUntrusted,
    SignatureInvalid,
    SignerRevoked,
)
from nodeproof.sevsnp.certificates import load_certificates
from nodeproof.sevsnp.crl import load_crl
from nodeproof.sevsnp.layout import REPORT_SIZE

_TCB_VERSIONS = (0x038, 0x180, 0x1E0, 0x1F0)
_FAMILY, _STEPPING, _MITIGATIONS = 0x188, 0x18A, 0x1F8
_LARGEST_PART = 127


def _too_long(judged: Judged) -> bool:
    return len(judged.evidence.report) > REPORT_SIZE


def _of_a_large_stepping(judged: Judged) -> bool:
    return judged.evidence.report[_STEPPING] > 0xF


def _before_mitigations(judged: Judged) -> bool:
    return judged.version in {2, 3} and any(judged.evidence.report[_MITIGATIONS:0x208])


def _with_reserved_tcb_bytes(judged: Judged) -> bool:
    # Bytes 2 to 5; Turin, where it is others, the other one never accepts.
    report = judged.evidence.report
    return any(any(report[offset + 2 : offset + 6]) for offset in _TCB_VERSIONS)


def _of_no_vmpl(judged: Judged) -> bool:
    return int.from_bytes(judged.evidence.report[0x30:0x34], "little") > 3


def _of_no_chip(judged: Judged) -> bool:
    return not any(judged.evidence.report[0x1A0:0x1E0])


def _no_processor(judged: Judged) -> bool:
    return not any(judged.evidence.report[_FAMILY:_STEPPING])


def _of_large_versions(judged: Judged) -> bool:
    return max(judged.evidence.report[0x180:0x187]) > _LARGEST_PART


def _root_was_not_asked_for(judged: Judged) -> bool:
    trusted = judged.evidence.trusted_root
    return trusted is not None and trusted not in judged.evidence.certificates


def _root_was_trusted(judged: Judged) -> bool:
    return judged.evidence.trusted_root is None


def _only_the_root_is_unreadable(judged: Judged) -> bool:
    *others, root = judged.evidence.certificates
    return _readable(*others) and not _readable(root)


def _readable(*certificates: bytes) -> bool:
    try:
        load_certificates(certificates)
    except CertificateMalformed:
        return False
    return True


def _list_is_readable(judged: Judged) -> bool:
    try:
        load_crl(judged.evidence.crl or b"")
    except RevocationUnknown:
        return False
    return True


ONLY_THEY_ACCEPT = (
    Disagreement(
        name="trailing-bytes",
        applies=all_of(we_refuse(ReportMalformed, "wrong size"), _too_long),
        why="It reads the first 1,184 bytes; what comes behind travels along unsigned.",
        source="56860, ATTESTATION_REPORT",
    ),
    Disagreement(
        name="rewritten-before-hashing",
        applies=all_of(we_refuse(SignatureInvalid, "did not sign"), _of_a_large_stepping),
        why="It writes the report out again before it hashes it, with four bits of the stepping: "
        "four bits that are signed can be changed in transit. We hash the bytes that came.",
        source="56860, ATTESTATION_REPORT: the signature is over bytes 0x000 to 0x29F",
    ),
    Disagreement(
        name="mitigations-before-they-were",
        applies=all_of(we_refuse(ReportMalformed, "from 0x1f8"), _before_mitigations),
        why="It reads mitigation vectors in versions 2 and 3, where the bytes are reserved.",
        source="56860, ATTESTATION_REPORT; the fields came with version 5",
    ),
    Disagreement(
        name="reserved-tcb-bytes",
        applies=all_of(we_refuse(ReportMalformed, "a TCB version has"), _with_reserved_tcb_bytes),
        why="It compares reserved bytes of REPORTED_TCB with as many extensions and those of the "
        "other versions with nothing. A byte with a future meaning must not pass as known.",
        source="56860, TCB_VERSION",
    ),
    Disagreement(
        name="made-by-the-host",
        applies=all_of(we_refuse(ReportMalformed, "not made for a guest"), _of_no_vmpl),
        why="It accepts any VMPL unless it is told one, also 0xFFFFFFFF of a report that the host "
        "has asked for: no guest stands behind it.",
        source="56860, SNP_HV_REPORT_REQ",
    ),
    Disagreement(
        name="forbidden-migration-agent",
        applies=we_refuse(ReportMalformed, "migration agent that its policy forbids"),
        why="It compares REPORT_ID_MA only if it is told one, so a report may name a migration "
        "agent although its guest policy allows none.",
        source="56860, REPORT_ID_MA, POLICY bit 18",
    ),
    Disagreement(
        name="no-processor",
        applies=all_of(we_refuse(ProductUnknown, "unknown processor"), _no_processor),
        why="CPUID fields of zero count as absent in every version, and the certificate's "
        "productName stands in for them.",
        source="56860, CPUID_FAM_ID",
    ),
    Disagreement(
        name="masked-chip",
        applies=all_of(we_refuse(EndorsementMismatch, "masks the chip's ID"), _of_no_chip),
        why="It passes over hwID where CHIP_ID is zero: any chip's VCEK of these versions will do, "
        "and nobody can tell which machine it was.",
        source="56860, CHIP_ID; 57230, hwID",
    ),
    Disagreement(
        name="chip-under-a-vlek",
        applies=all_of(
            we_refuse(EndorsementMismatch, "CHIP_ID under a VLEK"),
            lambda judged: not _of_no_chip(judged),
        ),
        why="It takes a CHIP_ID that nothing vouches for: a VLEK names no chip.",
        source="58369, certificate extensions",
    ),
    Disagreement(
        name="product-name",
        applies=we_refuse(EndorsementMismatch, "productName"),
        why="From version 3 on it does not read productName: a VCEK may name another product.",
        source="57230, productName",
    ),
    Disagreement(
        name="struct-version",
        applies=any_of(
            we_refuse(ChainInvalid, "an unknown structure"),
            we_refuse(ChainInvalid, "the security versions of its structure"),
        ),
        why="It takes any structVersion, which says what the other extensions mean.",
        source="57230, structVersion",
    ),
    Disagreement(
        name="large-versions-count-as-zero",
        applies=all_of(we_refuse(EndorsementMismatch, "REPORTED_TCB"), _of_large_versions),
        why="A security version above 127 makes it compare zero instead of the whole REPORTED_TCB, "
        "and drop the error: a VCEK for the oldest firmware, all zero, speaks for the newest.",
        source="57230, extensions; 56860, REPORTED_TCB",
    ),
    Disagreement(
        name="presented-root-unread",
        applies=all_of(
            any_of(we_refuse(RootUntrusted, ""), we_refuse(EndorsementsMissing, "to a root")),
            _root_was_not_asked_for,
        ),
        why="It brings its own root and does not look at the one that was presented. We refuse a "
        "chain with a false root; it passes as soon as the true one is there as well.",
        source="ours: the chain that is stored is the chain that was verified",
    ),
    Disagreement(
        name="root-as-it-is",
        applies=all_of(
            any_of(
                we_refuse(ChainInvalid, "the ARK certificate"),
                we_refuse(ChainInvalid, "of the ARK certificate"),
                _only_the_root_is_unreadable,
            ),
            _root_was_trusted,
        ),
        why="It trusts a root certificate whole and checks neither its signature nor its profile. "
        "We pin the key only, so all else in the certificate has to be what that key has signed.",
        source="57230, ARK; RFC 5280, 6.1.1 (d)",
    ),
    Disagreement(
        name="profile-of-the-intermediate",
        applies=any_of(
            we_refuse(ChainInvalid, "the ASK certificate breaks AMD's profile"),
            we_refuse(ChainInvalid, "the ASVK certificate breaks AMD's profile"),
        ),
        why="Any CA that the root has signed will do: RSA of 2,048 bits, exponent 3, SHA-256, "
        "PKCS #1 1.5, no keyUsage, any path length. AMD's are of one kind, and so is what we take.",
        source="57230, 58369, certificate definitions",
    ),
    Disagreement(
        name="more-in-the-name",
        applies=we_refuse(ChainInvalid, "the subject of the VCEK certificate is not AMD's"),
        why="It looks for AMD's attributes in a subject and passes over others.",
        source="57230, VCEK subject",
    ),
    Disagreement(
        name="list-of-a-part",
        applies=we_refuse(RevocationUnknown, "does not speak for all"),
        why="It takes a list of changes only, of some certificates only, or with a critical "
        "extension that it does not know; such a list may well leave out the ASK.",
        source="RFC 5280, 5.2.4, 5.2.5",
    ),
    Disagreement(
        name="list-not-in-force",
        applies=we_refuse(RevocationUnknown, "is not in force"),
        why="It does not read thisUpdate, nor nextUpdate of a list that it has just fetched: a "
        "mirror with an old list hides what was revoked since.",
        source="RFC 5280, 6.3.3 (a)",
    ),
    Disagreement(
        name="list-of-another-issuer",
        applies=all_of(we_refuse(RevocationUnknown, "no revocation list tells"), _list_is_readable),
        why="It compares the signature and not the name of a list's issuer.",
        source="RFC 5280, 6.3.3 (b)",
    ),
    Disagreement(
        name="bytes-behind-a-list",
        applies=all_of(
            we_refuse(RevocationUnknown, "no revocation list tells"),
            lambda judged: not _list_is_readable(judged),
        ),
        why="It reads a list and passes over what is behind it.",
        source="X.690, 8.1.1: one encoding is one list",
    ),
    Disagreement(
        name="signature-of-a-list",
        applies=we_refuse(RevocationUnknown, "the signature on a revocation list is wrong"),
        why="It takes whatever algorithm a list names, such as PKCS #1 1.5; AMD's ARKs sign with "
        "RSASSA-PSS only.",
        source="57230, CRL",
    ),
    Disagreement(
        name="revoked-root",
        applies=we_refuse(SignerRevoked, "AMD has revoked the ARK"),
        why="Of a list it reads whether the ASK is on it, and not whether the root is.",
        source="57230, CRL",
    ),
)
