"""What the machine runs on: the hypervisor, and the cloud around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from nodeproof_agent.doctor.machine import Machine, Registers

_SIGNATURE_LEAF = 0x40000000
"""EBX, ECX and EDX spell the hypervisor's name (Linux, Documentation/virt/kvm/x86/cpuid.rst)."""

_HYPERV_FEATURES, _HYPERV_ISOLATION = 0x40000003, 0x4000000C
_ISOLATION_BIT, _PARENT_BIT = 1 << 22, 1 << 12
"""EBX of the features: an isolated partition, which is not the host's own."""

_ISOLATION_TYPE = 0xF
_ISOLATION_SNP = 2
"""EBX of the isolation leaf (Hyper-V TLFS; Linux, ``enum hv_isolation_type``)."""

_DMI = "/sys/class/dmi/id"
_DETECTED = re.compile(r"Hypervisor detected: (.+)")


class Host(StrEnum):
    """Who runs the VM, as far as advice differs."""

    ESXI = "VMware ESXi"
    KVM = "KVM"
    AWS = "AWS"
    GCP = "Google Cloud"
    AZURE = "Azure"
    HYPERV = "Hyper-V"
    UNKNOWN = "unknown"


_BY_MAKER = {
    "VMware, Inc.": Host.ESXI,
    "Amazon EC2": Host.AWS,
    "Google": Host.GCP,
    "QEMU": Host.KVM,
}
_BY_SIGNATURE = {
    "KVMKVMKVM": Host.KVM,
    "VMwareVMware": Host.ESXI,
    "Microsoft Hv": Host.HYPERV,
    "KVM": Host.KVM,
    "VMware": Host.ESXI,
    "Microsoft Hyper-V": Host.HYPERV,
}
"""By what CPUID spells and by what the kernel's log calls it."""

_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
"""The chassis asset tag of every Azure VM, which no other Hyper-V guest has."""


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """What is under the machine, if it says so; nothing of it is proof.

    Attributes:
        signature: The name by CPUID, else by the kernel's log; empty if neither tells.
        maker: DMI's system vendor and product.
        host: What that amounts to.
        isolated: Whether Hyper-V says that a paravisor of its own runs this guest under SEV-SNP.
    """

    signature: str
    maker: str
    host: Host
    isolated: bool


def probe_hypervisor(machine: Machine, log: tuple[str, ...]) -> Hypervisor:
    """Return what CPUID, DMI and the kernel's log say."""
    registers = machine.cpuid(_SIGNATURE_LEAF)
    detected = next(filter(None, map(_DETECTED.search, log)), None)
    signature = _spelled(registers) or (detected[1].strip() if detected else "")
    vendor, product = (machine.line(f"{_DMI}/{name}") for name in ("sys_vendor", "product_name"))
    host = _BY_MAKER.get(vendor) or _BY_SIGNATURE.get(signature, Host.UNKNOWN)
    if machine.line(f"{_DMI}/chassis_asset_tag") == _AZURE_TAG:
        host = Host.AZURE
    return Hypervisor(
        signature=signature,
        maker=" ".join(filter(None, (vendor, product))),
        host=host,
        isolated=host in {Host.AZURE, Host.HYPERV} and _isolated(machine),
    )


def _spelled(registers: Registers | None) -> str:
    if registers is None:
        return ""
    name = b"".join(each.to_bytes(4, "little") for each in registers[1:])
    text = name.rstrip(b"\0").decode("ascii", "replace")
    # Without a hypervisor, the leaf holds numbers of another one.
    return text if text.isprintable() and text.isascii() else ""


def _isolated(machine: Machine) -> bool:
    features, isolation = machine.cpuid(_HYPERV_FEATURES), machine.cpuid(_HYPERV_ISOLATION)
    if features is None or isolation is None:
        return False
    partition = features.ebx & (_ISOLATION_BIT | _PARENT_BIT) == _ISOLATION_BIT
    return partition and isolation.ebx & _ISOLATION_TYPE == _ISOLATION_SNP
