"""The processor: whose it is, and what CPUID and the kernel say that it can do."""

from __future__ import annotations

from dataclasses import dataclass

from nodeproof_agent.doctor.machine import Machine

ENCRYPTION_LEAF = 0x8000001F
"""Encrypted memory capabilities (AMD 24594, appendix E.4.17)."""

_LARGEST_EXTENDED_LEAF = 0x80000000

_SNP_BIT = 1 << 4
"""EAX of that leaf."""

_FLAGS = frozenset({"hypervisor", "sev", "sev_es", "sev_snp", "tdx_guest"})
_AMD = "AuthenticAMD"


@dataclass(frozen=True, slots=True)
class Processor:
    """What the processor says; a guest sees what its hypervisor lets through.

    Attributes:
        vendor: ``vendor_id`` of /proc/cpuinfo; empty where there is none: not x86.
        name: ``model name``.
        flags: Those that matter here. The kernel hides ``sev…`` from most guests, so only their
            presence says something.
        snp: What CPUID says of SEV-SNP; None if it cannot be asked.
    """

    vendor: str
    name: str
    flags: frozenset[str]
    snp: bool | None

    @property
    def is_amd(self) -> bool:
        """Whether AMD made it."""
        return self.vendor == _AMD


def probe_processor(machine: Machine) -> Processor:
    """Return what /proc/cpuinfo and CPUID say."""
    first, _, _ = (machine.text("/proc/cpuinfo") or "").partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    vendor = fields.get("vendor_id", "")
    return Processor(
        vendor=vendor,
        name=fields.get("model name", ""),
        flags=_FLAGS.intersection(fields.get("flags", "").split()),
        snp=_snp(machine) if vendor == _AMD else None,
    )


def _snp(machine: Machine) -> bool | None:
    largest = machine.cpuid(_LARGEST_EXTENDED_LEAF)
    if largest is None:
        return None
    # Beyond the largest leaf, processors answer with another one.
    leaf = machine.cpuid(ENCRYPTION_LEAF) if largest.eax >= ENCRYPTION_LEAF else None
    return leaf is not None and bool(leaf.eax & _SNP_BIT)
