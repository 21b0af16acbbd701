from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nodeproof.unavailability import CAUSES, Cause
from nodeproof_agent.doctor.diagnosis import Diagnosis
from nodeproof_agent.doctor.kernel_log import KernelLog
from nodeproof_agent.settings import AUTO, CONFIGFS_TSM, SEV_GUEST, Hardware
from unit.agent.doctor_machines import (
    DEVICE,
    KEY_LOST,
    PLATFORM_DEVICE,
    TSM_ROOT,
    FakeMachine,
    cpuinfo,
    in_container,
    plain_guest,
    snp_guest,
)


@pytest.fixture
def plain(tmp_path: Path) -> FakeMachine:
    return plain_guest(tmp_path)


@pytest.fixture
def snp(tmp_path: Path) -> FakeMachine:
    return snp_guest(tmp_path)


@pytest.fixture
def pod(snp: FakeMachine) -> FakeMachine:
    return in_container(snp)


def next_steps(diagnosis: Diagnosis) -> str:
    return "\n".join(diagnosis.steps)


@pytest.mark.parametrize(
    ("chosen", "used"),
    [(AUTO, CONFIGFS_TSM), (CONFIGFS_TSM, CONFIGFS_TSM), (SEV_GUEST, SEV_GUEST)],
)
def test_evidence_can_be_had(snp: FakeMachine, chosen: str, used: str) -> None:
    snp.wanted = Hardware(chosen)
    assert snp.diagnosis() == Diagnosis(None, used, f"The provider {used} has all it needs.")


def test_the_device_serves_where_there_is_no_configfs(snp: FakeMachine) -> None:
    snp.remove(TSM_ROOT)
    assert snp.diagnosis().provider == SEV_GUEST


def test_the_device_serves_where_configfs_is_denied(snp: FakeMachine) -> None:
    snp.refuse_entries(Cause.PERMISSION_DENIED)
    assert snp.diagnosis().provider == SEV_GUEST


def test_the_device_is_not_asked_in_place_of_a_platform_that_refuses(snp: FakeMachine) -> None:
    snp.refuse_entries(Cause.FIRMWARE_BUSY)
    assert snp.diagnosis().cause is Cause.FIRMWARE_BUSY


def test_an_older_kernel_is_no_obstacle_but_advised_against(snp: FakeMachine) -> None:
    snp.release = "6.8.0-31-generic"
    diagnosis = snp.diagnosis()
    assert diagnosis.cause is None
    assert "6.9 or newer" in next_steps(diagnosis)


def test_an_ordinary_guest_has_no_platform(plain: FakeMachine) -> None:
    diagnosis = plain.diagnosis()
    assert diagnosis.cause is Cause.NO_PLATFORM
    assert "not a confidential one" in diagnosis.summary
    assert "launchSecurity" in next_steps(diagnosis)
    assert "--provider simulated" in diagnosis.steps[-1]


@pytest.mark.parametrize(
    ("vendor", "word"),
    [
        ("VMware, Inc.", "ESXi 9"),
        ("Amazon EC2", "AmdSevSnp=enabled"),
        ("Google", "SEV_SNP"),
        ("Bochs", "SEV-SNP guest"),
    ],
)
def test_advice_is_for_the_host_at_hand(plain: FakeMachine, vendor: str, word: str) -> None:
    plain.leaves, plain.log = {}, KernelLog()
    plain.write("/sys/class/dmi/id/sys_vendor", vendor)
    assert word in plain.diagnosis().steps[0]


def test_another_makers_processor_comes_first(plain: FakeMachine) -> None:
    plain.write("/proc/cpuinfo", cpuinfo("GenuineIntel"))
    assert "AMD EPYC 7003" in plain.diagnosis().steps[0]


def test_an_azure_confidential_vm_is_not_sent_to_another_setting(plain: FakeMachine) -> None:
    plain.write("/sys/class/dmi/id/chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n")
    plain.add_log("Memory Encryption Features active: AMD SEV")
    diagnosis = plain.diagnosis()
    assert "vTPM" in diagnosis.summary
    assert diagnosis.steps[0].startswith("Azure")


def test_a_host_is_told_to_attest_its_guests(plain: FakeMachine) -> None:
    plain.leaves, plain.log = {}, KernelLog()
    plain.write("/proc/cpuinfo", cpuinfo(flags="fpu sev_snp"))
    diagnosis = plain.diagnosis()
    assert "no virtual machine" in diagnosis.summary
    assert "inside SEV-SNP guests" in diagnosis.steps[0]


def test_a_lost_key_counts_more_than_an_interface_that_is_there(snp: FakeMachine) -> None:
    snp.add_log(KEY_LOST)
    diagnosis = snp.diagnosis()
    assert diagnosis.cause is Cause.KEY_DISABLED
    assert diagnosis.steps == (CAUSES[Cause.KEY_DISABLED].remedy,)


def test_a_level_below_the_kernels_is_refused(snp: FakeMachine) -> None:
    snp.write("/sys/devices/system/cpu/sev/vmpl", "2\n")
    snp.wanted = Hardware(vmpl=1)
    assert snp.diagnosis().cause is Cause.PRIVILEGE_REFUSED
    assert "VMPL 2 and may not ask for 1" in snp.diagnosis().summary


@pytest.mark.parametrize("level", [2, 3])
def test_the_kernels_level_and_those_above_are_not(snp: FakeMachine, level: int) -> None:
    snp.write("/sys/devices/system/cpu/sev/vmpl", "2\n")
    snp.wanted = Hardware(vmpl=level)
    assert snp.diagnosis().cause is None


@pytest.fixture
def driverless(plain: FakeMachine) -> FakeMachine:
    """An SEV-SNP guest whose driver is not loaded."""
    plain.make(PLATFORM_DEVICE)
    return plain


def test_without_a_driver_it_is_to_be_loaded(driverless: FakeMachine) -> None:
    diagnosis = driverless.diagnosis()
    assert diagnosis.cause is Cause.NO_PLATFORM
    assert "no working sev-guest driver" in diagnosis.summary
    assert "modprobe sev-guest" in next_steps(diagnosis)


def test_a_driver_that_is_not_installed_is_to_be_installed_first(driverless: FakeMachine) -> None:
    for name in ("modules.builtin", "modules.dep"):
        driverless.write(f"/lib/modules/6.12.0/{name}")
    assert "linux-modules-extra-6.12.0" in driverless.diagnosis().steps[0]


def test_a_driver_that_failed_is_to_be_looked_after(driverless: FakeMachine) -> None:
    driverless.write("/proc/modules", "sev_guest 1 0 - Live 0x0\n")
    assert "dmesg" in driverless.diagnosis().steps[0]


def test_a_kernel_without_the_driver_is_to_be_replaced(driverless: FakeMachine) -> None:
    driverless.release = "5.15.0"
    assert "newer kernel" in driverless.diagnosis().steps[0]


def test_what_blocks_the_devices_name_is_to_be_removed(driverless: FakeMachine) -> None:
    driverless.make(DEVICE)
    assert driverless.diagnosis().steps[0].startswith(f"Remove {DEVICE}")


def test_configfs_without_a_driver_behind_it_lacks_the_driver(driverless: FakeMachine) -> None:
    driverless.make(TSM_ROOT)
    driverless.refuse_entries(Cause.PROVIDER_MISSING)
    diagnosis = driverless.diagnosis()
    assert diagnosis.cause is Cause.PROVIDER_MISSING
    assert "modprobe" in next_steps(diagnosis)


def test_in_a_pod_the_interface_has_to_be_mounted(pod: FakeMachine) -> None:
    diagnosis = pod.diagnosis()
    assert diagnosis.cause is Cause.INTERFACE_NOT_MOUNTED
    assert "outside of /sys" in next_steps(diagnosis)


def test_a_pod_that_has_the_mount_lacks_it_on_the_node(pod: FakeMachine) -> None:
    pod.make("/host/configfs")
    pod.wanted = Hardware(tsm_root=Path("/host/configfs/tsm/report"))
    (step,) = pod.diagnosis().steps
    assert step.startswith("Mount configfs on the node, unless it is")


def test_a_pod_is_told_where_configfs_is_mounted(pod: FakeMachine) -> None:
    pod.write("/proc/self/mounts", "configfs /run/nodeproof/tsm configfs rw 0 0\n")
    assert "--tsm-root=/run/nodeproof/tsm" in next_steps(pod.diagnosis())


def test_on_the_node_configfs_has_to_be_mounted(snp: FakeMachine) -> None:
    snp.write("/proc/self/mounts", "")
    snp.remove(TSM_ROOT)
    snp.remove(DEVICE)
    diagnosis = snp.diagnosis()
    assert diagnosis.cause is Cause.INTERFACE_NOT_MOUNTED
    assert "mount -t configfs" in next_steps(diagnosis)


def test_a_device_alone_shows_that_the_driver_works(plain: FakeMachine) -> None:
    plain.add_device()
    plain.wanted = Hardware(CONFIGFS_TSM)
    assert plain.diagnosis().cause is Cause.INTERFACE_NOT_MOUNTED


def test_an_older_kernel_has_the_device_alone(pod: FakeMachine) -> None:
    pod.release = "6.5.0"
    assert "--provider sev-guest" in next_steps(pod.diagnosis())


def test_in_a_pod_the_device_has_to_be_handed_over(pod: FakeMachine) -> None:
    pod.wanted = Hardware(SEV_GUEST)
    diagnosis = pod.diagnosis()
    assert diagnosis.cause is Cause.INTERFACE_NOT_MOUNTED
    assert "device plugin" in next_steps(diagnosis)


def test_a_directory_in_the_devices_place_is_to_be_removed_from_the_node(pod: FakeMachine) -> None:
    pod.wanted = Hardware(SEV_GUEST)
    pod.make(DEVICE)
    assert pod.diagnosis().steps[0].startswith(f"Remove {DEVICE}")


@pytest.fixture
def denied(snp: FakeMachine) -> FakeMachine:
    """An SEV-SNP guest whose configfs may not be used, and which has no device."""
    snp.remove(DEVICE)
    snp.refuse_entries(Cause.PERMISSION_DENIED)
    return snp


def test_denied_without_a_known_reason_gets_the_catalogues_advice(denied: FakeMachine) -> None:
    diagnosis = denied.diagnosis()
    assert diagnosis.cause is Cause.PERMISSION_DENIED
    assert diagnosis.steps == (CAUSES[Cause.PERMISSION_DENIED].remedy,)


def test_another_user_is_told_to_be_root(denied: FakeMachine) -> None:
    denied.euid = 65532
    assert "uid 0" in denied.diagnosis().steps[0]


def test_root_of_a_user_namespace_is_told_to_leave_it(denied: FakeMachine) -> None:
    denied.write("/proc/self/uid_map", "0 65536 65536\n")
    assert "hostUsers" in denied.diagnosis().steps[0]


def test_a_read_only_mount_is_to_be_made_writable(denied: FakeMachine) -> None:
    denied.write("/proc/self/mounts", "configfs /sys/kernel/config configfs ro 0 0\n")
    assert "writable" in denied.diagnosis().steps[0]


def test_apparmor_is_to_be_gone_around(denied: FakeMachine) -> None:
    denied.write("/proc/self/attr/current", "cri-containerd.apparmor.d (enforce)\n")
    assert "--tsm-root" in denied.diagnosis().steps[0]


def test_apparmor_is_not_blamed_outside_of_sys(denied: FakeMachine) -> None:
    denied.write("/proc/self/attr/current", "cri-containerd.apparmor.d (enforce)\n")
    denied.make("/run/tsm")
    denied.wanted = replace(denied.wanted, tsm_root=Path("/run/tsm"))
    assert "audit log" in denied.diagnosis().steps[0]


def test_selinux_is_named(denied: FakeMachine) -> None:
    denied.write("/proc/self/attr/current", "system_u:system_r:container_t:s0:c1,c2")
    assert "container_t" in denied.diagnosis().steps[0]


def test_a_device_that_a_pod_may_not_open_takes_a_device_plugin(pod: FakeMachine) -> None:
    pod.add_device()
    pod.denied.add(DEVICE)
    diagnosis = pod.diagnosis()
    assert diagnosis.cause is Cause.PERMISSION_DENIED
    assert "device plugin" in diagnosis.steps[0]


def test_what_the_kernel_said_is_not_kept_back(snp: FakeMachine) -> None:
    snp.refuse_entries(Cause.TIMED_OUT, "cannot read outblob")
    diagnosis = snp.diagnosis()
    assert diagnosis.cause is Cause.TIMED_OUT
    assert "cannot read outblob (observed EXXX (because))" in diagnosis.summary
