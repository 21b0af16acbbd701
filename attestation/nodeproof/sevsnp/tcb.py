"""TCB_VERSION: the security versions of a processor's firmware components (AMD 56860)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from nodeproof.errors import ReportMalformed


@dataclass(frozen=True, slots=True)
class TCBLayout:
    """Which byte of a TCB_VERSION holds which component."""

    bootloader: int
    tee: int
    snp: int
    microcode: int
    reserved: slice
    """The bytes that must be zero."""
    fmc: int | None = None


MILAN_LAYOUT = TCBLayout(bootloader=0, tee=1, reserved=slice(2, 6), snp=6, microcode=7)
"""Milan and all that is endorsed as Genoa."""

TURIN_LAYOUT = TCBLayout(fmc=0, bootloader=1, tee=2, snp=3, reserved=slice(4, 7), microcode=7)
"""Turin, the first with a first mutable code (FMC) of its own version."""


class TCBVersion(msgspec.Struct, frozen=True):
    """The security version numbers of the firmware components, 0 to 255 each.

    There is no order between two versions as a whole: each component counts for itself, and
    comparing the eight bytes as one integer would let the microcode outweigh all others.
    """

    fmc: int | None
    """First mutable code; None before Turin."""
    bootloader: int
    tee: int
    snp: int
    microcode: int

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.components().items())

    def components(self) -> Mapping[str, int]:
        """Return the version of each component that this processor has, by its name here."""
        values = msgspec.structs.asdict(self)
        return {name: value for name, value in values.items() if value is not None}

    def lacks(self, minimum: Mapping[str, int]) -> tuple[str, ...]:
        """Return the names of the components that are below a minimum; none: it is reached.

        Args:
            minimum: The lowest acceptable version of each component, by its name here; one that is
                not named may have any. What this processor does not have is below every minimum.
        """
        versions = ((name, getattr(self, name), lowest) for name, lowest in minimum.items())
        return tuple(name for name, own, lowest in versions if own is None or own < lowest)


def decode_tcb(raw: bytes, layout: TCBLayout) -> TCBVersion:
    """Return the components in the eight bytes of a TCB_VERSION.

    Raises:
        ReportMalformed: A byte is set that the processor's layout reserves.
    """
    if any(raw[layout.reserved]):
        raise ReportMalformed(
            "a TCB version has reserved bytes set",
            expected=f"zero in bytes {layout.reserved.start} to {layout.reserved.stop - 1}",
            observed=raw.hex(),
        )
    return TCBVersion(
        fmc=None if layout.fmc is None else raw[layout.fmc],
        bootloader=raw[layout.bootloader],
        tee=raw[layout.tee],
        snp=raw[layout.snp],
        microcode=raw[layout.microcode],
    )
