"""Checks of who vouches for the report, and on which chip it was made."""

from __future__ import annotations

from nodeproof.checks.check import Check

SIGNER_KIND = Check(
    id="SignerKind",
    title="endorsed by an accepted key",
    fields=("signer.kinds",),
    description=(
        "The key that signed the report must be of a kind in signer.kinds: VCEK (one chip), VLEK "
        "(a cloud provider's fleet) or Simulated (software, which proves nothing)."
    ),
    remedy=(
        "Add the kind to the policy if its endorser is trusted. Simulated evidence on a real node "
        "means that the agent was started with the wrong provider."
    ),
)

CSP_ID = Check(
    id="CSPID",
    title="endorsed for an accepted cloud provider",
    fields=("signer.cspIDs",),
    description=(
        "The csp_id in the VLEK's certificate, as a whole, must be one of signer.cspIDs; without "
        "any, no VLEK passes. AMD issues VLEKs to every provider: one that is not yours can vouch "
        "for a machine of theirs."
    ),
    remedy=(
        "Compare the observed csp_id with what your provider documents for the region, and add it "
        "if it is theirs. Otherwise the evidence comes from somebody else's machine."
    ),
)

PRODUCT = Check(
    id="Product",
    title="made by an accepted product",
    fields=("signer.products",),
    description=(
        "The product whose root key stands behind the report must be in signer.products. Take one "
        "out if attacks on its keys are known that no firmware mends."
    ),
    remedy="Move the node to a host of an accepted product, or accept the product.",
)

REPORT_VERSION = Check(
    id="ReportVersion",
    title="told in an accepted version",
    fields=("signer.reportVersions",),
    description=(
        "VERSION must be in signer.reportVersions. Version 2 tells neither the CPU model nor "
        "whether the alias check is complete, versions before 5 tell no mitigations."
    ),
    remedy=(
        "The host's firmware decides the version: have it updated. A provider that still gives "
        "version 2 needs it in signer.reportVersions and platformInfo.aliasCheck: Any."
    ),
)

ALLOWED_CHIP = Check(
    id="AllowedChip",
    title="made on a chip of the allow list",
    fields=("chips.allow",),
    description=(
        "If chips.allow lists any, CHIP_ID must be one of them. A host that masks it, and a VLEK, "
        "which states none, fail: which chip it was cannot be told."
    ),
    remedy=(
        "Add the observed chip ID if the machine is yours. Otherwise the evidence was made "
        "elsewhere and relayed: treat the node as compromised."
    ),
)

DENIED_CHIP = Check(
    id="DeniedChip",
    title="not made on a chip of the deny list",
    fields=("chips.deny",),
    description=(
        "CHIP_ID must not be on chips.deny, whatever chips.allow says. AMD's lists cannot revoke "
        "a single chip, so one whose key has leaked goes here; a report under a VLEK names none."
    ),
    remedy=(
        "Move the node to another host. Take the chip off the list only if it was put there by "
        "mistake: a leaked key stays leaked."
    ),
)
