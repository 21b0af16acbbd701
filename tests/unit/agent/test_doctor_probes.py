from __future__ import annotations

from pathlib import Path

import pytest

from nodeproof.unavailability import Cause
from nodeproof_agent.doctor.examination import Platform
from nodeproof_agent.doctor.kernel_log import KernelLog
from nodeproof_agent.doctor.machine import Registers
from nodeproof_agent.doctor.probes.configfs import Mount
from nodeproof_agent.doctor.probes.device import Node
from nodeproof_agent.doctor.probes.driver import Supply
from nodeproof_agent.doctor.probes.hypervisor import Host
from unit.agent.doctor_machines import (
    DEVICE,
    KEY_LOST,
    PLATFORM_DEVICE,
    SNP,
    TSM_ROOT,
    FakeMachine,
    cpuinfo,
    in_container,
    plain_guest,
    snp_guest,
    spelled,
)

AZURE_TAG = "7783-7084-3265-9085-8269-3286-77\n"
ISOLATED = {
    0x40000000: spelled(b"Microsoft Hv"),
    0x40000003: Registers(0, 1 << 22, 0, 0),
    0x4000000C: Registers(0, 2, 0, 0),
}


@pytest.fixture
def plain(tmp_path: Path) -> FakeMachine:
    return plain_guest(tmp_path)


@pytest.fixture
def snp(tmp_path: Path) -> FakeMachine:
    return snp_guest(tmp_path)


def test_sees_an_snp_guest(snp: FakeMachine) -> None:
    seen = snp.seen()
    assert seen.platform is Platform.SNP_GUEST
    assert seen.vmpl == 0
    assert seen.driver_works
    assert seen.processor.snp
    assert seen.configfs.usable
    assert seen.device.usable


@pytest.mark.parametrize("trace", ["expected", "vmpl", "log", "status", "device"])
def test_any_trace_that_only_snp_guests_have_will_do(plain: FakeMachine, trace: str) -> None:
    match trace:
        case "expected":
            plain.make(PLATFORM_DEVICE)
        case "vmpl":
            plain.write("/sys/devices/system/cpu/sev/vmpl", "1\n")
        case "log":
            plain.add_log("Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP")
        case "status":
            plain.add_log("SEV: Status: SEV SEV-ES SEV-SNP ")
        case _:
            plain.add_device()
    assert plain.seen().platform is Platform.SNP_GUEST


def test_a_capability_alone_makes_no_snp_guest(plain: FakeMachine) -> None:
    plain.leaves[0x8000001F] = SNP
    plain.write("/proc/cpuinfo", cpuinfo(flags="hypervisor sev_snp"))
    assert plain.seen().platform is Platform.PLAIN_GUEST


def test_sees_sev_without_snp(plain: FakeMachine) -> None:
    plain.add_log("AMD Memory Encryption Features active: SEV SEV-ES")
    assert plain.seen().platform is Platform.SEV_GUEST


def test_sees_tdx(plain: FakeMachine) -> None:
    plain.write("/proc/cpuinfo", cpuinfo("GenuineIntel", "hypervisor tdx_guest"))
    assert plain.seen().platform is Platform.TDX_GUEST


def test_sees_tdx_by_the_log(plain: FakeMachine) -> None:
    plain.add_log("Memory Encryption Features active: Intel TDX")
    assert plain.seen().platform is Platform.TDX_GUEST


def test_sees_that_there_is_no_hypervisor(plain: FakeMachine) -> None:
    plain.leaves, plain.log = {}, KernelLog()
    plain.write("/proc/cpuinfo", cpuinfo(flags="fpu"))
    assert plain.seen().platform is Platform.BARE_METAL


def test_a_machine_without_x86_is_unknown(plain: FakeMachine) -> None:
    plain.leaves, plain.log = {}, KernelLog()
    plain.write("/proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert plain.seen().platform is Platform.UNKNOWN


def test_sees_a_paravisor_by_cpuid(plain: FakeMachine) -> None:
    plain.leaves.update(ISOLATED)
    assert plain.seen().platform is Platform.PARAVISOR_GUEST


@pytest.mark.parametrize(
    ("leaf", "ebx"), [(0x40000003, 0), (0x40000003, 1 << 22 | 1 << 12), (0x4000000C, 3)]
)
def test_hyperv_without_snp_isolation_is_no_paravisor(
    plain: FakeMachine, leaf: int, ebx: int
) -> None:
    plain.leaves.update({**ISOLATED, leaf: Registers(0, ebx, 0, 0)})
    assert plain.seen().platform is Platform.PLAIN_GUEST


def test_sees_azures_paravisor_where_cpuid_cannot_be_read(plain: FakeMachine) -> None:
    plain.leaves = {}
    plain.write("/sys/class/dmi/id/chassis_asset_tag", AZURE_TAG)
    plain.add_log("Memory Encryption Features active: AMD SEV")
    assert plain.seen().platform is Platform.PARAVISOR_GUEST


def test_does_not_ask_for_a_leaf_beyond_the_largest(snp: FakeMachine) -> None:
    snp.leaves[0x80000000] = Registers(0x80000008, 0, 0, 0)
    assert snp.seen().processor.snp is False


def test_cpuid_that_cannot_be_read_says_nothing(snp: FakeMachine) -> None:
    snp.leaves = {}
    assert snp.seen().processor.snp is None


@pytest.mark.parametrize(
    ("vendor", "host"),
    [
        ("VMware, Inc.", Host.ESXI),
        ("Amazon EC2", Host.AWS),
        ("Google", Host.GCP),
        ("QEMU", Host.KVM),
    ],
)
def test_knows_the_host_by_the_maker(plain: FakeMachine, vendor: str, host: Host) -> None:
    plain.leaves = {}
    plain.write("/sys/class/dmi/id/sys_vendor", f"{vendor}\n")
    plain.write("/sys/class/dmi/id/product_name", "X\n")
    hypervisor = plain.seen().hypervisor
    assert hypervisor.host is host
    assert hypervisor.maker == f"{vendor} X"


def test_knows_the_hypervisor_by_cpuid(plain: FakeMachine) -> None:
    plain.leaves[0x40000000] = spelled(b"VMwareVMware")
    assert plain.seen().hypervisor.signature == "VMwareVMware"
    assert plain.seen().hypervisor.host is Host.ESXI


def test_knows_the_hypervisor_by_the_log(plain: FakeMachine) -> None:
    plain.leaves = {}
    assert plain.seen().hypervisor.host is Host.KVM


def test_numbers_spell_no_hypervisor(plain: FakeMachine) -> None:
    plain.leaves[0x40000000], plain.log = Registers(7, 0x80FF, 0x1, 0x2), KernelLog()
    assert plain.seen().hypervisor.signature == ""


def test_reads_the_level_of_an_older_kernel_from_its_log(snp: FakeMachine) -> None:
    snp.remove("/sys/devices/system/cpu/sev/vmpl")
    snp.log = KernelLog(("SEV: SNP running at VMPL2.",))
    assert snp.seen().vmpl == 2


@pytest.mark.parametrize(
    "line", [KEY_LOST, "sev-guest: Disabling vmpck_id 0 to prevent IV reuse.\n".strip()]
)
def test_sees_that_the_key_is_disabled(snp: FakeMachine, line: str) -> None:
    snp.add_log(line)
    assert snp.seen().log.key_disabled == line


def test_keeps_what_the_driver_complains_of(snp: FakeMachine) -> None:
    line = "sev-guest sev-guest: probe with driver sev-guest failed with error -22"
    snp.add_log(line)
    assert snp.seen().log.complaints == (line,)


def test_shows_no_flood_of_lines(snp: FakeMachine) -> None:
    snp.add_log(*[KEY_LOST] * 1000)
    assert len(snp.seen().log.shown) == 12


@pytest.mark.parametrize(
    ("built_in", "loadable", "supply"),
    [
        ("kernel/drivers/virt/coco/sev-guest/sev-guest.ko\n", "", Supply.BUILT_IN),
        ("", "kernel/drivers/virt/coco/sev-guest/sev-guest.ko.zst:\n", Supply.MODULE),
        ("", "kernel/fs/ext4/ext4.ko:\n", Supply.ABSENT),
    ],
)
def test_looks_for_the_driver_among_the_modules(
    plain: FakeMachine, built_in: str, loadable: str, supply: Supply
) -> None:
    plain.write("/lib/modules/6.12.0/modules.builtin", built_in)
    plain.write("/lib/modules/6.12.0/modules.dep", loadable)
    assert plain.seen().driver.supply is supply


def test_without_lists_of_modules_the_supply_is_unknown(plain: FakeMachine) -> None:
    assert plain.seen().driver.supply is Supply.UNKNOWN


def test_half_a_list_of_modules_says_nothing(plain: FakeMachine) -> None:
    plain.write("/lib/modules/6.12.0/modules.builtin")
    assert plain.seen().driver.supply is Supply.UNKNOWN


def test_a_built_in_driver_counts_as_loaded(plain: FakeMachine) -> None:
    plain.make("/sys/module/sev_guest")
    assert plain.seen().driver.loaded


def test_a_module_whose_name_only_begins_alike_does_not(plain: FakeMachine) -> None:
    plain.write("/proc/modules", "sev_guest_other 1 0 - Live 0x0\n")
    assert not plain.seen().driver.loaded


def test_a_file_is_no_device(snp: FakeMachine) -> None:
    snp.remove(DEVICE)
    snp.write(DEVICE)
    assert snp.seen().device.node is Node.OTHER
    assert not snp.seen().device.usable


def test_a_device_that_is_denied_is_not_usable(snp: FakeMachine) -> None:
    snp.denied.add(DEVICE)
    device = snp.seen().device
    assert (device.node, device.usable) == (Node.DEVICE, False)
    assert device.mode.startswith("c")


def test_reads_where_configfs_is_mounted(snp: FakeMachine) -> None:
    snp.write(
        "/proc/self/mounts",
        "sysfs /sys sysfs rw 0 0\nshort\nconfigfs /run/a\\040b configfs ro,relatime 0 0\n",
    )
    place = Path("/run/a b")
    assert snp.seen().configfs.mounts == (Mount(place, place, read_only=True),)


def test_finds_the_reports_in_a_whole_configfs(snp: FakeMachine) -> None:
    (mount,) = snp.seen().configfs.mounts
    assert mount.reports == Path(TSM_ROOT)


def test_keeps_why_no_entry_can_be_made(snp: FakeMachine) -> None:
    snp.refuse_entries(Cause.PROVIDER_MISSING)
    configfs = snp.seen().configfs
    assert configfs.failure is snp.tsm_failure
    assert not configfs.usable


def test_makes_no_entry_where_there_is_no_directory(plain: FakeMachine) -> None:
    plain.refuse_entries(Cause.PROVIDER_MISSING)
    assert plain.seen().configfs.failure is None


def test_sees_a_pod(snp: FakeMachine) -> None:
    seen = in_container(snp).seen()
    assert seen.confinement.container == "the variable KUBERNETES_SERVICE_HOST"
    assert seen.platform is Platform.SNP_GUEST


def test_sees_a_container_by_its_control_group(snp: FakeMachine) -> None:
    snp.write("/proc/self/cgroup", "1:name=systemd:/kubepods/burstable/pod1\n")
    assert snp.seen().confinement.container == "its control group"


@pytest.mark.parametrize("overlay", [True, False])
def test_the_mark_of_an_image_takes_an_overlay(snp: FakeMachine, *, overlay: bool) -> None:
    snp.write("/.dockerenv")
    kind = "overlay" if overlay else "ext4"
    snp.write("/proc/self/mounts", f"{kind} / {kind} rw 0 0\n")
    assert bool(snp.seen().confinement.container) is overlay


def test_sees_a_user_namespace(snp: FakeMachine) -> None:
    assert not snp.seen().confinement.own_users
    snp.write("/proc/self/uid_map", "0 65536 65536\n")
    assert snp.seen().confinement.own_users


def test_sees_who_confines_it(snp: FakeMachine) -> None:
    snp.write("/proc/self/attr/current", "cri-containerd.apparmor.d (enforce)\n")
    assert snp.seen().confinement.by_apparmor


def test_unconfined_is_not_confined(snp: FakeMachine) -> None:
    snp.write("/proc/self/attr/current", "unconfined\0")
    assert snp.seen().confinement.profile == ""
