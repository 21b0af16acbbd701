"""Evidence that we accept and go-sev-guest refuses."""

from __future__ import annotations

from differential.disagreement import Disagreement, all_of, they_refuse
from differential.judged import Judged
from nodeproof.sevsnp.bits import SigningKey
from nodeproof.sevsnp.products import Product

_MODELS = {(0x19, 0x01), (0x19, 0x11), (0x1A, 0x02)}
_LARGEST_PART = 127
_IOMMU_WRITE_SAFE = 1 << 6


def _of_turin(judged: Judged) -> bool:
    return judged.accepted is not None and judged.accepted.product is Product.TURIN


def _of_another_model(judged: Judged) -> bool:
    cpuid = judged.accepted.report.cpuid if judged.accepted else None
    return cpuid is not None and (cpuid.family, cpuid.model) not in _MODELS


def _of_a_large_stepping(judged: Judged) -> bool:
    cpuid = judged.accepted.report.cpuid if judged.accepted else None
    return cpuid is not None and cpuid.stepping > 0xF


def _of_version_2(judged: Judged) -> bool:
    return judged.accepted is not None and judged.accepted.cpu_model is None


def _of_another_product(judged: Judged) -> bool:
    accepted, expected = judged.accepted, judged.evidence.product
    return accepted is not None and expected not in {"", str(accepted.product)}


def _in_disorder(judged: Judged) -> bool:
    given = judged.evidence.certificates
    return judged.accepted is not None and judged.accepted.chain != given[:3]


def _of_large_versions(judged: Judged) -> bool:
    tcb = judged.accepted.reported_tcb if judged.accepted else None
    return tcb is not None and max(tcb.bootloader, tcb.tee, tcb.snp) > _LARGEST_PART


def _iommu_write_safe(judged: Judged) -> bool:
    accepted = judged.accepted
    return accepted is not None and accepted.report.platform_info.iommu_write_safe


def _by_a_vlek(judged: Judged) -> bool:
    accepted = judged.accepted
    return accepted is not None and accepted.report.key_info.signing_key is SigningKey.VLEK


def _list_ends_now(judged: Judged) -> bool:
    crl = judged.accepted.crl if judged.accepted else None
    return crl is not None and crl.next_update == judged.evidence.at


ONLY_WE_ACCEPT = (
    Disagreement(
        name="turin",
        applies=all_of(_of_turin, they_refuse("not an AMD KDS OID: 1.3.6.1.4.1.3704.1.3.9")),
        why="It does not know fmcSPL, the extension that every VCEK of Turin has, and wants 64 "
        "bytes of hwID where Turin has eight: it refuses all genuine Turin evidence.",
        source="57230, VCEK certificate extensions, structVersion 1",
    ),
    Disagreement(
        name="cpu-model",
        applies=all_of(_of_another_model, they_refuse("any trusted roots. Last error: <nil>")),
        why="It knows one CPUID model of each product; Bergamo and Siena (0xA0), which Genoa's "
        "keys endorse, and Turin Dense (0x11) are among those that it refuses.",
        source="57230, product names by family and model",
    ),
    Disagreement(
        name="stepping-lost",
        applies=all_of(_of_a_large_stepping, they_refuse("ECDSA verification failure")),
        why="It writes the report out again before it hashes it, with four bits of the stepping; a "
        "byte that was signed is then another one. We hash the bytes that came.",
        source="56860, CPUID_STEP",
    ),
    Disagreement(
        name="product-name-without-stepping",
        applies=all_of(_of_version_2, they_refuse("unknown product name (new stepping")),
        why="For version 2 it wants a stepping in productName, which genuine VCEKs of Genoa do not "
        "have. The product is what the issuer's name and the pinned root say.",
        source="57230, productName",
    ),
    Disagreement(
        name="expected-product",
        applies=all_of(_of_version_2, _of_another_product, they_refuse("cert product name")),
        why="It can be told which product a report of version 2 is to come from, and refuses "
        "others. With us a product that is not wanted is no forgery: policies name the products.",
        source="[api.md](api.md), AttestationPolicy",
    ),
    Disagreement(
        name="order-of-certificates",
        applies=_in_disorder,
        why="Its callers have to know which certificate is which. We find out by their names, and "
        "nothing but a chain to a pinned root counts.",
        source="ours: hosts hand certificates out in any order",
    ),
    Disagreement(
        name="iommu-write-safe",
        applies=all_of(_iommu_write_safe, they_refuse("reserved platform info bit 6 set")),
        why="It takes bit 6 of PLATFORM_INFO for reserved, though every genuine Turin sets it.",
        source="AMD-SB-3016, IOMMU_WRITE_SAFE",
    ),
    Disagreement(
        name="build-numbers-alone",
        applies=they_refuse("committed build number"),
        why="It compares build numbers whatever stands before them: 1.56.0 counts as older than "
        "1.55.65, and so does every first build of a new minor version. We compare all three.",
        source="56860, CURRENT_MAJOR, CURRENT_MINOR, CURRENT_BUILD",
    ),
    Disagreement(
        name="large-security-versions",
        applies=all_of(_of_large_versions, they_refuse("TCB part is")),
        why="It refuses security versions above 127 except the microcode's. Each has a whole byte.",
        source="56860, TCB_VERSION",
    ),
    Disagreement(
        name="critical-extension",
        applies=they_refuse("unhandled critical extension"),
        why="It leaves AMD's extensions to a library that does not know them. We know them, so "
        "they may as well be critical.",
        source="RFC 5280, 4.2",
    ),
    Disagreement(
        name="list-of-a-vlek",
        applies=all_of(_by_a_vlek, they_refuse("missing ASK x509", "panic: runtime error")),
        why="Asked for revocation it looks for an ASK even where an ASVK has signed: it refuses "
        "every VLEK, and dies of a nil pointer if its list has ended.",
        source="58369, certificate chain",
    ),
    Disagreement(
        name="last-moment-of-a-list",
        applies=all_of(_list_ends_now, they_refuse("could not fetch product CRL")),
        why="To it a list has ended at its nextUpdate; that is the time by which the next one is "
        "issued, and a certificate counts at its last moment as well.",
        source="RFC 5280, 5.1.2.5",
    ),
)
