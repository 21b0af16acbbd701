"""What was found, one plain sentence per subject."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nodeproof_agent.doctor.advice import dotted
from nodeproof_agent.doctor.examination import Examination, Platform
from nodeproof_agent.doctor.probes.configfs import Configfs
from nodeproof_agent.doctor.probes.device import Device, Node
from nodeproof_agent.doctor.probes.driver import Supply
from nodeproof_agent.doctor.probes.kernel import ADVISED, WITH_CONFIGFS_TSM, WITH_DRIVER, LogFacts
from nodeproof_agent.settings import CONFIGFS_TSM, SEV_GUEST


class State(StrEnum):
    """How a finding bears on evidence."""

    OK = "ok"
    MISSING = "missing"
    NOTE = "note"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One subject.

    Attributes:
        topic: What it is about; one of a fixed list of words.
        state: How it bears on evidence.
        text: A sentence.
        observed: What was read, as it was read.
    """

    topic: str
    state: State
    text: str
    observed: tuple[str, ...] = ()


def findings(seen: Examination) -> tuple[Finding, ...]:
    """Return what was found, from the hardware up; of key and VMPL only where there are such."""
    guest = (_key, _vmpl) if seen.platform is Platform.SNP_GUEST else ()
    subjects = (
        *(_processor, _hypervisor, _encryption, _kernel, _log, _driver),
        *guest,
        *(_configfs, _device, _container),
    )
    return tuple(subject(seen) for subject in subjects)


def _processor(seen: Examination) -> Finding:
    processor = seen.processor
    name = processor.name or processor.vendor
    if not processor.vendor:
        return Finding("processor", State.UNKNOWN, "/proc/cpuinfo names no x86 processor")
    if not processor.is_amd:
        text = f"{name} ({processor.vendor}); SEV-SNP takes AMD's EPYC 7003 (Milan) or newer"
        return Finding("processor", State.MISSING, text)
    said = {
        True: "CPUID 0x8000001F has SEV-SNP",
        False: "CPUID 0x8000001F has no SEV-SNP",
        None: "CPUID cannot be read here (/dev/cpu/0/cpuid: module cpuid, root)",
    }[processor.snp]
    lacking = processor.snp is False and seen.platform is not Platform.SNP_GUEST
    state = State.MISSING if lacking else State.OK
    flags = tuple(sorted(processor.flags - {"hypervisor"}))
    return Finding(
        "processor", state, f"{name}; {said}", (f"flags: {' '.join(flags)}",) * bool(flags)
    )


def _hypervisor(seen: Examination) -> Finding:
    hypervisor, platform = seen.hypervisor, seen.platform
    observed = tuple(
        f"{label}: {value}"
        for label, value in (("CPUID", hypervisor.signature), ("DMI", hypervisor.maker))
        if value
    )
    if platform is Platform.BARE_METAL:
        text = "none: the kernel runs on the machine itself; SEV-SNP protects guests only"
        return Finding("hypervisor", State.MISSING, text, observed)
    if platform is Platform.PARAVISOR_GUEST:
        text = f"{hypervisor.host}, with a paravisor between it and this guest"
        return Finding("hypervisor", State.MISSING, text, observed)
    if not observed:
        return Finding("hypervisor", State.UNKNOWN, "there is one, and it does not give its name")
    return Finding("hypervisor", State.NOTE, f"{hypervisor.host}", observed)


_ENCRYPTION = {
    Platform.SNP_GUEST: (State.OK, "SEV-SNP is active"),
    Platform.PARAVISOR_GUEST: (State.NOTE, "active, and in the paravisor's hands"),
    Platform.SEV_GUEST: (State.MISSING, "SEV without SNP: it makes no attestation reports"),
    Platform.TDX_GUEST: (State.MISSING, "Intel TDX: another technology, with other evidence"),
    Platform.PLAIN_GUEST: (State.MISSING, "nothing says that this guest's memory is encrypted"),
    Platform.BARE_METAL: (State.MISSING, "not as a guest"),
    Platform.UNKNOWN: (State.UNKNOWN, "nothing says so"),
}


def _encryption(seen: Examination) -> Finding:
    state, text = _ENCRYPTION[seen.platform]
    return Finding("encryption", state, text, (seen.log.active,) * bool(seen.log.active))


def _kernel(seen: Examination) -> Finding:
    kernel = seen.kernel
    if kernel.version is None:
        return Finding("kernel", State.UNKNOWN, "its version cannot be read")
    if kernel.version >= ADVISED:
        return Finding("kernel", State.OK, kernel.release)
    if kernel.version < WITH_DRIVER:
        text = f"{kernel.release} has no sev-guest driver: {dotted(WITH_DRIVER)} is the first"
        return Finding("kernel", State.MISSING, text)
    lacks = "" if kernel.version >= WITH_CONFIGFS_TSM else "has no configfs-tsm and "
    text = (
        f"{kernel.release} {lacks}loses its key to the firmware more easily; "
        f"{dotted(ADVISED)} or newer is advised"
    )
    return Finding("kernel", State.NOTE, text)


def _log(seen: Examination) -> Finding:
    log = seen.log
    if log.unreadable:
        return Finding("kernel-log", State.UNKNOWN, f"{_why(seen)} ({log.unreadable})")
    if log.shown:
        return Finding("kernel-log", State.NOTE, "says:", log.shown)
    if log.whole:
        return Finding("kernel-log", State.NOTE, "reaches back to the boot and has no word of SEV")
    text = "has no word of SEV, but its first lines are gone: 'journalctl -k -b' may have them"
    return Finding("kernel-log", State.UNKNOWN, text)


def _why(seen: Examination) -> str:
    """Say why the log cannot be read."""
    log: LogFacts = seen.log
    if seen.confinement.container:
        return "not to be read from a container; on the node: dmesg | grep -iE 'sev|snp|vmpck'"
    if log.restricted:
        return "kernel.dmesg_restrict is 1: only root (CAP_SYSLOG) may read it"
    return "cannot be read"


def _driver(seen: Examination) -> Finding:
    driver = seen.driver
    if driver.bound or seen.configfs.usable:
        return Finding("driver", State.OK, "sev-guest is loaded and has its device")
    if driver.loaded and driver.expected:
        text = "sev-guest is loaded and could not set up its device"
        return Finding("driver", State.MISSING, text, seen.log.complaints)
    if seen.device.node is Node.DEVICE:
        return Finding("driver", State.OK, "sev-guest has made its device")
    if driver.loaded:
        text = "sev-guest is loaded and has nothing to drive: the kernel sees no SEV-SNP"
        return Finding("driver", State.MISSING, text)
    more = {
        Supply.MODULE: ", though this kernel has it as a module",
        Supply.ABSENT: ", and this kernel has no such module",
        Supply.BUILT_IN: ", though it is built into this kernel",
        Supply.UNKNOWN: "",
    }[driver.supply]
    return Finding("driver", State.MISSING, f"sev-guest is not loaded{more}")


def _key(seen: Examination) -> Finding:
    if seen.log.key_disabled:
        text = "the driver has given up its key to the firmware (VMPCK) until the VM starts again"
        return Finding("key", State.MISSING, text, (seen.log.key_disabled,))
    if seen.log.unreadable or not seen.log.whole:
        text = "only the kernel log tells whether the VMPCK is disabled, and it is not all here"
        return Finding("key", State.UNKNOWN, text)
    return Finding("key", State.OK, "the kernel log knows of no VMPCK that was disabled")


def _vmpl(seen: Examination) -> Finding:
    wanted, runs = seen.wanted.vmpl, seen.vmpl
    asked = "" if wanted is None else f", and --vmpl asks for {wanted}"
    if runs is None:
        text = f"the kernel does not say (6.11 and newer do){asked}"
        return Finding("vmpl", State.UNKNOWN, text)
    state = State.OK if wanted is None or wanted >= runs else State.MISSING
    return Finding("vmpl", state, f"the kernel runs at VMPL {runs}{asked}")


def _configfs(seen: Examination) -> Finding:
    configfs = seen.configfs
    if configfs.usable:
        text = f"{configfs.root}: an entry was made, and removed again"
        return Finding("configfs-tsm", State.OK, text)
    state = State.NOTE if seen.wanted.provider == SEV_GUEST else State.MISSING
    if configfs.failure:
        text = f"{configfs.root}: {configfs.failure.message}"
        return Finding(
            "configfs-tsm", state, text, tuple(filter(None, (configfs.failure.observed,)))
        )
    return Finding("configfs-tsm", state, f"{configfs.root} does not exist; {_mounted(configfs)}")


def _mounted(configfs: Configfs) -> str:
    if configfs.mount:
        return "configfs is mounted there, and the kernel offers no reports in it"
    if configfs.mounts:
        places = ", ".join(str(each.path) for each in configfs.mounts)
        return f"configfs is mounted elsewhere: {places}"
    return "configfs is not mounted" if configfs.known else "this kernel has no configfs loaded"


def _device(seen: Examination) -> Finding:
    device = seen.device
    state = State.NOTE if seen.wanted.provider == CONFIGFS_TSM else State.MISSING
    if device.node is Node.ABSENT:
        return Finding("device", state, f"{device.path} does not exist")
    observed = (f"{device.mode} uid {device.owner[0]} gid {device.owner[1]}",)
    if device.node is Node.OTHER:
        return Finding(
            "device", state, f"{device.path} is no device: {_impostor(device)}", observed
        )
    if device.usable:
        return Finding("device", State.OK, f"{device.path} can be opened", observed)
    return Finding("device", state, f"{device.path} cannot be opened by this process", observed)


def _impostor(device: Device) -> str:
    if device.mode.startswith("d"):
        return "a directory, as a hostPath volume makes it where there was nothing"
    return "an ordinary file"


def _container(seen: Examination) -> Finding:
    confinement = seen.confinement
    user = f"uid {confinement.euid}"
    if confinement.own_users:
        user += " of a user namespace, which is not the machine's"
    by = (f"confined by: {confinement.profile}",) * bool(confinement.profile)
    if confinement.container:
        text = f"in one (by {confinement.container}), which sees only what is mounted; {user}"
        return Finding("container", State.NOTE, text, by)
    return Finding("container", State.NOTE, f"in none, as far as can be seen; {user}", by)
