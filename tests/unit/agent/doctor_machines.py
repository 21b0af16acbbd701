"""Machines for the doctor, each a plain directory that looks like one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nodeproof.unavailability import Cause
from nodeproof_agent.doctor.diagnosis import Diagnosis, diagnose
from nodeproof_agent.doctor.examination import Examination, examine
from nodeproof_agent.doctor.findings import Finding, findings
from nodeproof_agent.doctor.kernel_log import KernelLog
from nodeproof_agent.doctor.machine import Machine, Registers
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.settings import Hardware

TSM_ROOT = "/sys/kernel/config/tsm/report"
DEVICE = "/dev/sev-guest"
PLATFORM_DEVICE = "/sys/devices/platform/sev-guest"

SNP_LOG = (
    "Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP",
    "SEV: SNP running at VMPL0.",
    "sev-guest sev-guest: Initialized SEV guest driver (using VMPCK0 communication key)",
)
KEY_LOST = "sev-guest sev-guest: Disabling VMPCK0 communication key to prevent IV reuse."

SNP = Registers(0x1A, 0, 0, 0)
"""CPUID 0x8000001F of an SEV-SNP guest."""


def cpuinfo(vendor: str = "AuthenticAMD", flags: str = "fpu hypervisor") -> str:
    one = f"vendor_id\t: {vendor}\nmodel name\t: A Processor\nflags\t\t: {flags}\n\n"
    return f"processor\t: 0\n{one}processor\t: 1\n{one}"


def spelled(name: bytes) -> Registers:
    """Return the leaf that spells a hypervisor's name."""
    parts = (name.ljust(12, b"\0")[at : at + 4] for at in (0, 4, 8))
    return Registers(0x40000001, *(int.from_bytes(part, "little") for part in parts))


@dataclass
class FakeMachine:
    """A machine to be furnished; ``.machine()`` is the doctor's view of it."""

    root: Path
    log: KernelLog = field(default_factory=KernelLog)
    leaves: dict[int, Registers] = field(default_factory=dict)
    release: str = "6.12.0"
    euid: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    tsm_failure: ProviderFailed | None = None
    wanted: Hardware = field(default_factory=Hardware)

    def write(self, path: str, text: str = "") -> None:
        where = self.root / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)

    def make(self, path: str) -> None:
        (self.root / path.lstrip("/")).mkdir(parents=True)

    def remove(self, path: str) -> None:
        where = self.root / path.lstrip("/")
        where.rmdir() if where.is_dir() and not where.is_symlink() else where.unlink()

    def add_device(self, path: str = DEVICE) -> None:
        where = self.root / path.lstrip("/")
        where.parent.mkdir(parents=True, exist_ok=True)
        where.symlink_to("/dev/null")

    def add_log(self, *lines: str) -> None:
        self.log = replace(self.log, lines=(*self.log.lines, *lines))

    def refuse_entries(self, cause: Cause, message: str = "cannot make an entry") -> None:
        self.tsm_failure = ProviderFailed(message, cause=cause, observed="EXXX (because)")

    def machine(self) -> Machine:
        return Machine(
            root=self.root,
            release=self.release,
            euid=self.euid,
            environment=self.environment,
            cpuid=self.leaves.get,
            kernel_log=lambda: self.log,
            may=lambda path, _: f"/{path.relative_to(self.root)}" not in self.denied,
            probe_configfs=self._probe,
        )

    def _probe(self, root: Path, vmpl: int | None) -> None:
        assert root.is_relative_to(self.root)
        assert vmpl == self.wanted.vmpl
        if self.tsm_failure:
            raise self.tsm_failure

    def seen(self) -> Examination:
        return examine(self.machine(), self.wanted)

    def finding(self, topic: str) -> Finding:
        (found,) = (each for each in findings(self.seen()) if each.topic == topic)
        return found

    def diagnosis(self) -> Diagnosis:
        return diagnose(self.seen())


def plain_guest(root: Path) -> FakeMachine:
    """Return an ordinary KVM guest on an AMD processor, with configfs mounted."""
    made = FakeMachine(root, log=KernelLog(("Linux version 6.12.0", "Hypervisor detected: KVM")))
    made.leaves = {
        0x40000000: spelled(b"KVMKVMKVM"),
        0x80000000: Registers(0x80000028, 0, 0, 0),
        0x8000001F: Registers(0, 0, 0, 0),
    }
    made.write("/proc/cpuinfo", cpuinfo())
    made.write("/proc/modules", "virtio_net 1 0 - Live 0x0\n")
    made.write("/proc/filesystems", "nodev\tsysfs\nnodev\tconfigfs\n\text4\n")
    made.write("/proc/self/mounts", "configfs /sys/kernel/config configfs rw,nosuid 0 0\n")
    made.write("/proc/self/uid_map", "         0          0 4294967295\n")
    made.make("/sys/kernel/config")
    return made


def snp_guest(root: Path) -> FakeMachine:
    """Return an SEV-SNP guest with everything in place."""
    made = plain_guest(root)
    made.leaves[0x8000001F] = SNP
    made.add_log(*SNP_LOG)
    made.write("/proc/modules", "tsm 1 1 sev_guest, Live 0x0\nsev_guest 1 0 - Live 0x0\n")
    made.write("/sys/devices/system/cpu/sev/vmpl", "0\n")
    made.make(f"{PLATFORM_DEVICE}/driver")
    made.make(TSM_ROOT)
    made.add_device()
    return made


def in_container(made: FakeMachine) -> FakeMachine:
    """Take away what a pod does not see unless it is mounted."""
    made.environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    made.write("/proc/self/mounts", "overlay / overlay rw 0 0\n")
    made.remove(TSM_ROOT)
    made.remove(DEVICE)
    made.log = KernelLog(whole=False, unreadable="/dev/kmsg: No such file or directory")
    return made
