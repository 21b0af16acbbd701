"""AttestationPolicy and ReferenceValueSet as the CRDs define them, decoded and immutable.

The CRDs in ``crds/`` are the source of truth for defaults and bounds; the defaults here are the
same (a test compares them) so that a policy which reaches us by another way, as in a preview,
means the same thing.
"""

from nodeproof.policy.firmware import FirmwareMinimum, FirmwareRules, PlatformRules, TCBMinimum
from nodeproof.policy.objects import (
    Measurement,
    Policy,
    PolicySpec,
    ReferenceValueSet,
    ReferenceValueSetSpec,
    decode_policy,
    decode_reference_values,
)
from nodeproof.policy.rules import (
    ChipRules,
    EnforcementRules,
    FreshnessRules,
    GuestRules,
    RevocationRules,
    SignerRules,
)
from nodeproof.policy.selector import LabelSelector, SelectorTerm
from nodeproof.policy.vocabulary import (
    GROUP,
    MEASUREMENT_SIZE,
    VERSION,
    Covers,
    CPUModelName,
    Mode,
    Permission,
    Requirement,
    RevocationMode,
    SelectorOperator,
    SignerKind,
    TaintEffect,
)

__all__ = [
    "GROUP",
    "MEASUREMENT_SIZE",
    "VERSION",
    "CPUModelName",
    "ChipRules",
    "Covers",
    "EnforcementRules",
    "FirmwareMinimum",
    "FirmwareRules",
    "FreshnessRules",
    "GuestRules",
    "LabelSelector",
    "Measurement",
    "Mode",
    "Permission",
    "PlatformRules",
    "Policy",
    "PolicySpec",
    "ReferenceValueSet",
    "ReferenceValueSetSpec",
    "Requirement",
    "RevocationMode",
    "RevocationRules",
    "SelectorOperator",
    "SelectorTerm",
    "SignerKind",
    "SignerRules",
    "TCBMinimum",
    "TaintEffect",
    "decode_policy",
    "decode_reference_values",
]
