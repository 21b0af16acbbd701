"""What each refusal means for whoever reads it at a terminal, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "ReportMalformed": (
            "These bytes are no report as the firmware writes it. Give the 1184 bytes of the "
            "report alone, as binary: no response header before it, no certificate table behind it."
        ),
        "ReportVersionUnsupported": (
            "The layout of this version is not known well enough to be relied on. Nothing is "
            "guessed; a newer nodeproof may read it."
        ),
        "ProductUnknown": (
            "The report names a processor that this release does not know, so its firmware "
            "versions cannot be read. A newer nodeproof may know it."
        ),
        "CertificateMalformed": "A certificate cannot be read. Fetch it again from AMD.",
        "EndorsementsMissing": (
            "Neither genuine nor forged: without the VEK and its chain nobody can tell. Put VEK, "
            "ASK (or ASVK) and ARK into the folder: they are in the host's certificate table, and "
            "for a VCEK at https://kdsintf.amd.com, where --fetch gets them."
        ),
        "RootUntrusted": (
            "The chain ends in a root that is not AMD's. Anybody can make such a chain, and "
            "simulated platforms do: it proves nothing about hardware."
        ),
        "ChainInvalid": (
            "A certificate is not what AMD issues, or is not in force. Look at its dates first: "
            "--at tells for what time to judge, and AMD issues VEKs anew when they end."
        ),
        "EndorsementMismatch": (
            "The VEK is genuine but of another chip or firmware. Fetch the one for this CHIP_ID "
            "and this REPORTED_TCB: it changes with every firmware update."
        ),
        "SignatureInvalid": (
            "The report was changed after it was signed, or another key signed it. It is not "
            "evidence of anything."
        ),
        "SignerRevoked": (
            "AMD has withdrawn a certificate of this chain: whoever has its key could sign "
            "anything. Fetch AMD's current chain; if it is this one, do not trust the platform."
        ),
        "RevocationUnknown": (
            "Neither genuine nor refused: --crl or --fetch asks for a revocation list, and none is "
            "usable. Fetch the current one of the product from https://kdsintf.amd.com; of lists "
            "given with --crl, --at must lie between thisUpdate and nextUpdate."
        ),
        "ReportDataMismatch": (
            "The report is genuine but answers another question: it may be old, or somebody else's."
        ),
    }
)
"""By the refusal's reason."""
