"""The groups of an AttestationPolicy's spec, but for the firmware's."""

from __future__ import annotations

from typing import Annotated

import msgspec

from nodeproof.policy.spec import Spec
from nodeproof.policy.vocabulary import (
    Requirement,
    RevocationMode,
    SignerKind,
    TaintEffect,
)
from nodeproof.sevsnp.products import Product

ABIVersion = Annotated[str, msgspec.Meta(pattern=r"^(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})$")]
"""A version of the SNP firmware ABI, ``major.minor``."""


class SignerRules(Spec, frozen=True):
    """Who may have endorsed the report, and which reports are read at all."""

    kinds: tuple[SignerKind, ...] = (SignerKind.VCEK,)
    csp_ids: tuple[str, ...] = msgspec.field(name="cspIDs", default=())
    """The cloud providers whose VLEKs are good; without any, no VLEK is."""
    products: tuple[Product, ...] = (Product.MILAN, Product.GENOA, Product.TURIN)
    report_versions: tuple[int, ...] = (3, 4, 5)
    """Without 2, which tells neither the CPU model nor whether the alias check is complete."""


class GuestRules(Spec, frozen=True):
    """What the guest policy and the report must say about the guest.

    An empty list of IDs or digests leaves them unlooked at; all are lower-case hexadecimal digits.
    """

    debug: Requirement = Requirement.FORBIDDEN
    migration_agent: Requirement = Requirement.FORBIDDEN
    smt: Requirement = Requirement.ANY
    single_socket: Requirement = Requirement.ANY
    minimum_abi: ABIVersion | None = msgspec.field(name="minimumABI", default=None)
    cxl: Requirement = Requirement.ANY
    aes_256_xts: Requirement = msgspec.field(name="aes256XTS", default=Requirement.ANY)
    rapl_disabled: Requirement = Requirement.ANY
    ciphertext_hiding: Requirement = Requirement.ANY
    page_swap_disabled: Requirement = Requirement.ANY
    vmpl: int = 0
    minimum_svn: int = msgspec.field(name="minimumSVN", default=0)
    family_ids: tuple[str, ...] = msgspec.field(name="familyIDs", default=())
    image_ids: tuple[str, ...] = msgspec.field(name="imageIDs", default=())
    host_data: tuple[str, ...] = ()
    id_block: Requirement = msgspec.field(name="idBlock", default=Requirement.ANY)
    id_key_digests: tuple[str, ...] = ()
    author_key_digests: tuple[str, ...] = ()


class RevocationRules(Spec, frozen=True):
    """Which revocation list must vouch for the signer."""

    mode: RevocationMode = RevocationMode.PREFERRED
    maximum_age_seconds: int | None = None
    """How long after its thisUpdate a list counts; None leaves it to its nextUpdate."""


class ChipRules(Spec, frozen=True):
    """Which processors may run nodes, by CHIP_ID in hexadecimal; a denied one is never good.

    An entry has 128 digits, or 16 on Turin, where only the first eight bytes are used.
    """

    allow: tuple[str, ...] = ()
    """Empty: every chip that is not denied."""
    deny: tuple[str, ...] = ()


class FreshnessRules(Spec, frozen=True):
    """How often nodes attest and how long a result lives, in seconds."""

    interval_seconds: int = 300
    maximum_age_seconds: int = 900


class EnforcementRules(Spec, frozen=True):
    """What happens to a Node that does not pass."""

    failure_effect: TaintEffect = TaintEffect.NO_EXECUTE
    unknown_grace_seconds: int = 300
