"""Everything the doctor sees, and what kind of machine that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodeproof_agent.doctor.machine import Machine
from nodeproof_agent.doctor.probes.configfs import Configfs, probe_configfs
from nodeproof_agent.doctor.probes.confinement import Confinement, probe_confinement
from nodeproof_agent.doctor.probes.device import Device, Node, probe_device
from nodeproof_agent.doctor.probes.driver import Driver, probe_driver
from nodeproof_agent.doctor.probes.hypervisor import Host, Hypervisor, probe_hypervisor
from nodeproof_agent.doctor.probes.kernel import Kernel, LogFacts, probe_kernel, probe_log
from nodeproof_agent.doctor.probes.processor import Processor, probe_processor
from nodeproof_agent.settings import Hardware


class Platform(StrEnum):
    """What kind of machine it is, as far as can be seen from inside."""

    SNP_GUEST = "SNPGuest"
    PARAVISOR_GUEST = "ParavisorGuest"
    SEV_GUEST = "SEVGuest"
    TDX_GUEST = "TDXGuest"
    PLAIN_GUEST = "PlainGuest"
    BARE_METAL = "BareMetal"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Examination:
    """What was seen.

    Attributes:
        wanted: Where the agent would look.
    """

    wanted: Hardware
    processor: Processor
    hypervisor: Hypervisor
    kernel: Kernel
    log: LogFacts
    driver: Driver
    device: Device
    configfs: Configfs
    confinement: Confinement

    @property
    def vmpl(self) -> int | None:
        """The level the kernel runs at; None if it does not say."""
        return self.log.vmpl if self.driver.vmpl is None else self.driver.vmpl

    @property
    def platform(self) -> Platform:
        """The kind of machine; hints all of them, but they agree on any honest one."""
        if self._is_snp():
            return Platform.SNP_GUEST
        if self.hypervisor.isolated or (
            # There the paravisor keeps all of SEV-SNP to itself but the encryption.
            self.hypervisor.host is Host.AZURE and "SEV" in self.log.active
        ):
            return Platform.PARAVISOR_GUEST
        if "tdx_guest" in self.processor.flags or "TDX" in self.log.active:
            return Platform.TDX_GUEST
        if "SEV" in self.log.active:
            return Platform.SEV_GUEST
        if "hypervisor" in self.processor.flags or self.hypervisor.signature:
            return Platform.PLAIN_GUEST
        return Platform.BARE_METAL if self.processor.vendor else Platform.UNKNOWN

    @property
    def driver_works(self) -> bool:
        """Whether reports could be asked for, here or elsewhere on the machine."""
        return (
            self.driver.bound
            or self.log.driver_up
            or self.configfs.usable
            or self.device.node is Node.DEVICE
        )

    def _is_snp(self) -> bool:
        """Whether the kernel shows any of what it has on SEV-SNP guests alone."""
        return (
            self.driver.expected
            or self.driver.vmpl is not None
            or "SEV-SNP" in self.log.active
            or self.configfs.usable
            or self.device.node is Node.DEVICE
        )


def examine(machine: Machine, wanted: Hardware) -> Examination:
    """Look at the machine; makes and removes an entry of configfs-tsm, and asks no firmware."""
    log = machine.kernel_log()
    kernel = probe_kernel(machine)
    return Examination(
        wanted=wanted,
        processor=probe_processor(machine),
        hypervisor=probe_hypervisor(machine, log.lines),
        kernel=kernel,
        log=probe_log(machine, log),
        driver=probe_driver(machine, kernel.release),
        device=probe_device(machine, wanted.sev_guest_device),
        configfs=probe_configfs(machine, wanted.tsm_root, wanted.vmpl),
        confinement=probe_confinement(machine),
    )
