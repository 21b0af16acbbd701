"""The words of the policy API: names, and the closed lists that its fields take."""

from __future__ import annotations

from enum import StrEnum

GROUP = "nodeproof.dev"
VERSION = "v1alpha1"

MEASUREMENT_SIZE = 48
"""Bytes of MEASUREMENT, a SHA-384 (AMD 56860, ATTESTATION_REPORT offset 0x090)."""


class Mode(StrEnum):
    """Whether a policy touches Nodes or only reports."""

    ENFORCE = "Enforce"
    AUDIT = "Audit"


class SignerKind(StrEnum):
    """What endorsed the report; ``Simulated`` is any key under a simulated root."""

    VCEK = "VCEK"
    VLEK = "VLEK"
    SIMULATED = "Simulated"


class Requirement(StrEnum):
    """What a policy asks of one bit of the report."""

    REQUIRED = "Required"
    FORBIDDEN = "Forbidden"
    ANY = "Any"


class Permission(StrEnum):
    """Whether a policy puts up with something that it would rather not see."""

    ALLOWED = "Allowed"
    FORBIDDEN = "Forbidden"


class CPUModelName(StrEnum):
    """The processors whose firmware has minimums of its own, named as verification names them."""

    MILAN = "Milan"
    GENOA = "Genoa"
    BERGAMO = "Bergamo"
    """Siena as well: it has the model numbers of Bergamo."""
    TURIN = "Turin"
    TURIN_DENSE = "Turin Dense"


class RevocationMode(StrEnum):
    """What a policy asks of AMD's revocation lists; a revoked signer is refused in any case."""

    REQUIRED = "Required"
    """Without a list in force, nothing passes."""
    PREFERRED = "Preferred"
    """Its absence is told and does no harm."""
    OFF = "Off"
    """Its absence is not told."""


class TaintEffect(StrEnum):
    """What the taint of a failing node does."""

    NO_EXECUTE = "NoExecute"
    NO_SCHEDULE = "NoSchedule"


class SelectorOperator(StrEnum):
    """How a label selector compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Covers(StrEnum):
    """What a launch measurement vouches for. On ESXi and plain-disk guests: firmware only."""

    FIRMWARE = "Firmware"
    KERNEL = "Kernel"
    IMAGE = "Image"
