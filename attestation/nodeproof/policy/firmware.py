"""What a policy asks of the host's firmware: minimums as AMD's bulletins state them, as data."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from nodeproof.policy.spec import Spec, Time
from nodeproof.policy.vocabulary import CPUModelName, Permission, Requirement

_NUMBER = r"(0|[1-9][0-9]{0,2})"

FirmwareVersionText = Annotated[str, msgspec.Meta(pattern=rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}$")]
"""A version of the SNP firmware, ``major.minor.build``."""

Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
Bit = Annotated[int, msgspec.Meta(ge=0, le=63)]


class TCBMinimum(Spec, frozen=True):
    """The lowest acceptable security versions; a component that is not given may have any."""

    fmc: Byte | None = None
    """First mutable code; only Turin has one."""
    bootloader: Byte | None = None
    tee: Byte | None = None
    snp: Byte | None = None
    microcode: Byte | None = None

    def components(self) -> dict[str, int]:
        """Return what is asked for, by the names that ``TCBVersion`` has for the components.

        A minimum of 0 asks for nothing.
        """
        return {name: lowest for name, lowest in msgspec.structs.asdict(self).items() if lowest}


class FirmwareMinimum(Spec, frozen=True):
    """What is asked of one CPU model from some time on: one row of a bulletin of AMD's."""

    cpu_model: CPUModelName
    stepping: Byte | None = None
    """None: every stepping. Cache-stacked parts (Milan-X, Genoa-X) differ by it alone."""
    effective_time: Time | None = None
    """None: always."""
    reported_tcb: TCBMinimum | None = msgspec.field(name="reportedTCB", default=None)
    committed_tcb: TCBMinimum | None = msgspec.field(name="committedTCB", default=None)
    launch_tcb: TCBMinimum | None = msgspec.field(name="launchTCB", default=None)
    version: FirmwareVersionText | None = None
    launch_mitigations: tuple[Bit, ...] = ()
    current_mitigations: tuple[Bit, ...] = ()

    def in_force(self, now: datetime) -> bool:
        """Tell whether the minimum is asked for yet."""
        return self.effective_time is None or self.effective_time <= now

    def version_numbers(self) -> tuple[int, ...]:
        """Return the version as numbers, to be compared as a whole; empty if none is asked for."""
        return tuple(int(each) for each in self.version.split(".")) if self.version else ()


class PlatformRules(Spec, frozen=True):
    """What PLATFORM_INFO must say about how the host is set up."""

    smt: Requirement = Requirement.ANY
    tsme: Requirement = Requirement.ANY
    ecc: Requirement = Requirement.ANY
    rapl_disabled: Requirement = Requirement.ANY
    ciphertext_hiding: Requirement = Requirement.ANY
    alias_check: Requirement = Requirement.REQUIRED
    iommu_write_safe: Requirement = Requirement.ANY
    tio: Requirement = Requirement.ANY


class FirmwareRules(Spec, frozen=True):
    """What the host's firmware must be, and how it must have set up the host."""

    minimums: tuple[FirmwareMinimum, ...] = ()
    """All that name a processor and are in force must be met."""
    unlisted_cpu_models: Permission = msgspec.field(
        name="unlistedCPUModels", default=Permission.FORBIDDEN
    )
    """Whether a processor passes that no minimum names, although there are minimums."""
    provisional: Permission = Permission.ALLOWED
    """Whether firmware may run that the host can still roll back."""
    platform_info: PlatformRules = PlatformRules()
