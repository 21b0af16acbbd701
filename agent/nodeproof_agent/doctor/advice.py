"""What to do next, by what kind of machine it is and what is in the way."""

from __future__ import annotations

from collections.abc import Iterator

from nodeproof_agent.doctor.examination import Examination, Platform
from nodeproof_agent.doctor.probes.device import Node
from nodeproof_agent.doctor.probes.driver import Supply
from nodeproof_agent.doctor.probes.hypervisor import Host
from nodeproof_agent.doctor.probes.kernel import ADVISED, WITH_CONFIGFS_TSM, WITH_DRIVER

PAGE = "docs/platforms.md"

_LAUNCH = {
    Host.ESXI: (
        "ESXi 9 or newer on a host with SEV-SNP enabled in its BIOS: power the VM off, set AMD "
        "SEV-SNP in its confidential-computing options (EFI firmware is needed), power it on."
    ),
    Host.KVM: (
        "KVM on a host with SEV-SNP (cat /sys/module/kvm_amd/parameters/sev_snp says Y): start the "
        "VM with <launchSecurity type='sev-snp'> in libvirt, or QEMU's -object sev-snp-guest."
    ),
    Host.AWS: (
        "EC2: launch a new instance of a family with SEV-SNP (m6a, c6a, r6a) with "
        "--cpu-options AmdSevSnp=enabled; it cannot be switched on later."
    ),
    Host.GCP: (
        "Google Cloud: create the VM (or GKE node pool) on N2D with the confidential-computing "
        "type SEV_SNP; plain SEV, which is another type, makes no reports."
    ),
    Host.AZURE: (
        "Azure: its confidential VMs give reports through a vTPM only, which nodeproof does not "
        f"read yet ({PAGE} says why)."
    ),
}
_LAUNCH_ANYWHERE = (
    "Start this machine as an SEV-SNP guest: its hypervisor's setting, not the kernel's."
)

SIMULATE = (
    "Only to try nodeproof, the simulated platform runs everywhere: --provider simulated. It "
    "proves nothing."
)


def launch(seen: Examination) -> Iterator[str]:
    """Say how to get an SEV-SNP guest here."""
    if not seen.processor.is_amd and seen.processor.vendor:
        yield "Move to a host with an AMD EPYC 7003 (Milan) or newer: others have no SEV-SNP."
    elif seen.platform is Platform.BARE_METAL:
        yield "Run the agent inside SEV-SNP guests of this machine, not on the machine itself."
        return
    yield _LAUNCH.get(seen.hypervisor.host, _LAUNCH_ANYWHERE)


def load_driver(seen: Examination) -> Iterator[str]:
    """Say how to get the driver to work."""
    driver, version = seen.driver, seen.kernel.version
    release = seen.kernel.release or "$(uname -r)"
    if seen.device.node is Node.OTHER:
        yield f"Remove {seen.device.path}, which is no device: the driver needs that name."
    if version and version < WITH_DRIVER:
        yield f"Boot a newer kernel: {dotted(ADVISED)} or newer is advised."
    elif driver.loaded:
        yield "See why the driver failed, on the node: dmesg | grep -iE 'sev|snp|vmpck'"
    elif driver.supply is Supply.ABSENT:
        yield (
            "Install the driver for this kernel (CONFIG_SEV_GUEST). On Ubuntu it is in the "
            f"package linux-modules-extra-{release}."
        )
        yield from _modprobe()
    else:
        yield from _modprobe()


def _modprobe() -> Iterator[str]:
    yield (
        "On the node: modprobe sev-guest; and for every boot: "
        "echo sev-guest > /etc/modules-load.d/sev-guest.conf"
    )


def mount(seen: Examination) -> Iterator[str]:
    """Say how to get at configfs-tsm."""
    version = seen.kernel.version
    if version and version < WITH_CONFIGFS_TSM:
        yield (
            f"configfs-tsm came with Linux {dotted(WITH_CONFIGFS_TSM)}: boot a newer kernel, or "
            f"give the agent the device with --provider sev-guest ({PAGE})."
        )
        return
    others = [each.reports for each in seen.configfs.mounts if each is not seen.configfs.mount]
    if others:
        places = " or ".join(f"--tsm-root={each}" for each in others)
        yield f"configfs is mounted at another place: name that to the agent, as {places}"
        return
    pod = bool(seen.confinement.container)
    if pod and seen.configfs.root.is_relative_to("/sys"):
        yield (
            "Mount the node's /sys/kernel/config into the agent's container, outside of /sys, and "
            f"name the directory tsm/report in it with --tsm-root: {PAGE} has the lines."
        )
    if not seen.configfs.mount:
        unless = ", unless it is" if pod else ""
        yield f"Mount configfs on the node{unless}: mount -t configfs none /sys/kernel/config"


def permit(seen: Examination) -> Iterator[str]:
    """Say how to be let at what is there."""
    confinement, configfs, device = seen.confinement, seen.configfs, seen.device
    if confinement.euid != 0:
        yield f"Run the agent as uid 0, the interface's owner; it is uid {confinement.euid} now."
    elif confinement.own_users:
        yield "Run the pod in the machine's user namespace (hostUsers: true, the default)."
    if configfs.failure and configfs.mount and configfs.mount.read_only:
        yield f"Mount {configfs.mount.path} writable: an entry has to be made in it."
    elif configfs.failure and confinement.by_apparmor and configfs.root.is_relative_to("/sys"):
        yield (
            f"AppArmor ({confinement.profile}) denies containers to write below /sys: mount the "
            "directory at another place of the container, and name that with --tsm-root."
        )
    elif configfs.failure and confinement.profile:
        yield f"See the audit log: {confinement.profile} may be what denies it."
    if device.node is Node.DEVICE and not device.usable and confinement.container:
        yield from hand_over(seen)


def hand_over(seen: Examination) -> Iterator[str]:
    """Say how to get the device into a container."""
    if seen.device.node is Node.OTHER:
        yield f"Remove {seen.device.path}, which is no device, from the node."
    yield (
        f"A container may open {seen.device.path} only if its device list has it: through a device "
        f"plugin, or as a privileged pod. configfs-tsm needs neither ({PAGE})."
    )


def dotted(version: tuple[int, int]) -> str:
    """Return a kernel version as it is written."""
    return ".".join(map(str, version))
