from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nodeproof.unavailability import Cause
from nodeproof_agent.doctor.findings import State, findings
from nodeproof_agent.doctor.kernel_log import KernelLog
from nodeproof_agent.doctor.machine import Registers
from nodeproof_agent.settings import CONFIGFS_TSM, SEV_GUEST, Hardware
from unit.agent.doctor_machines import (
    DEVICE,
    KEY_LOST,
    PLATFORM_DEVICE,
    SNP_LOG,
    TSM_ROOT,
    FakeMachine,
    cpuinfo,
    in_container,
    plain_guest,
    snp_guest,
)

TOPICS = [
    "processor",
    "hypervisor",
    "encryption",
    "kernel",
    "kernel-log",
    "driver",
    "key",
    "vmpl",
    "configfs-tsm",
    "device",
    "container",
]


@pytest.fixture
def plain(tmp_path: Path) -> FakeMachine:
    return plain_guest(tmp_path)


@pytest.fixture
def snp(tmp_path: Path) -> FakeMachine:
    return snp_guest(tmp_path)


def test_has_a_finding_on_each_subject(snp: FakeMachine) -> None:
    assert [each.topic for each in findings(snp.seen())] == TOPICS


def test_speaks_of_key_and_level_only_where_there_are_such(plain: FakeMachine) -> None:
    topics = [each.topic for each in findings(plain.seen())]
    assert topics == [topic for topic in TOPICS if topic not in {"key", "vmpl"}]


def test_nothing_is_missing_on_a_good_machine(snp: FakeMachine) -> None:
    states = {each.state for each in findings(snp.seen())}
    assert states == {State.OK, State.NOTE}


def test_names_a_processor_that_cannot(plain: FakeMachine) -> None:
    plain.write("/proc/cpuinfo", cpuinfo("GenuineIntel"))
    found = plain.finding("processor")
    assert found.state is State.MISSING
    assert "A Processor (GenuineIntel)" in found.text


@pytest.mark.parametrize("is_snp", [True, False])
def test_cpuid_is_not_believed_against_the_kernel(tmp_path: Path, *, is_snp: bool) -> None:
    made = (snp_guest if is_snp else plain_guest)(tmp_path)
    made.leaves[0x8000001F] = Registers(0, 0, 0, 0)
    found = made.finding("processor")
    assert "has no SEV-SNP" in found.text
    assert found.state is (State.OK if is_snp else State.MISSING)


def test_shows_the_flags_that_matter(snp: FakeMachine) -> None:
    snp.write("/proc/cpuinfo", cpuinfo(flags="fpu hypervisor sev_snp sev"))
    assert snp.finding("processor").observed == ("flags: sev sev_snp",)


def test_says_how_cpuid_could_be_read(snp: FakeMachine) -> None:
    snp.leaves = {}
    assert "/dev/cpu/0/cpuid" in snp.finding("processor").text


def test_a_kernel_that_is_new_enough_is_fine(snp: FakeMachine) -> None:
    assert snp.finding("kernel").state is State.OK


@pytest.mark.parametrize(
    ("release", "state", "words"),
    [
        ("6.8.0", State.NOTE, "6.9 or newer is advised"),
        ("6.6.1", State.NOTE, "has no configfs-tsm"),
        ("5.15.0", State.MISSING, "5.19 is the first"),
        ("odd", State.UNKNOWN, "cannot be read"),
    ],
)
def test_weighs_the_kernels_version(
    snp: FakeMachine, release: str, state: State, words: str
) -> None:
    snp.release = release
    found = snp.finding("kernel")
    assert found.state is state
    assert words in found.text


def test_shows_what_the_kernel_says(snp: FakeMachine) -> None:
    assert snp.finding("kernel-log").observed == SNP_LOG


def test_a_whole_log_without_a_word_says_something(plain: FakeMachine) -> None:
    assert plain.finding("kernel-log").state is State.NOTE


def test_a_log_that_has_lost_its_beginning_does_not(plain: FakeMachine) -> None:
    plain.log = replace(plain.log, whole=False)
    found = plain.finding("kernel-log")
    assert found.state is State.UNKNOWN
    assert "journalctl" in found.text


def test_explains_a_restricted_log(plain: FakeMachine) -> None:
    plain.log = KernelLog(whole=False, unreadable="EPERM")
    plain.write("/proc/sys/kernel/dmesg_restrict", "1\n")
    assert "dmesg_restrict is 1" in plain.finding("kernel-log").text


def test_a_pod_is_sent_to_the_node_for_the_log(snp: FakeMachine) -> None:
    assert "on the node: dmesg" in in_container(snp).finding("kernel-log").text


def test_a_log_that_cannot_be_read_says_why(plain: FakeMachine) -> None:
    plain.log = KernelLog(whole=False, unreadable="ENOENT")
    assert plain.finding("kernel-log").text == "cannot be read (ENOENT)"


def test_a_driver_that_failed_shows_its_complaint(snp: FakeMachine) -> None:
    line = "sev-guest: probe failed with error -22"
    snp.log = KernelLog((line,))
    snp.remove(TSM_ROOT)
    snp.remove(f"{PLATFORM_DEVICE}/driver")
    found = snp.finding("driver")
    assert (found.state, found.observed) == (State.MISSING, (line,))


def test_a_driver_without_a_device_to_drive_is_said_so(plain: FakeMachine) -> None:
    plain.write("/proc/modules", "sev_guest 1 0 - Live 0x0\n")
    assert "nothing to drive" in plain.finding("driver").text


def test_a_lost_key_shows_the_line(snp: FakeMachine) -> None:
    snp.add_log(KEY_LOST)
    found = snp.finding("key")
    assert (found.state, found.observed) == (State.MISSING, (KEY_LOST,))


def test_without_the_log_nobody_knows_of_the_key(snp: FakeMachine) -> None:
    assert in_container(snp).finding("key").state is State.UNKNOWN


def test_half_a_log_does_not_acquit_the_key(snp: FakeMachine) -> None:
    snp.log = replace(snp.log, whole=False)
    assert snp.finding("key").state is State.UNKNOWN


def test_a_level_that_is_refused_is_missing(snp: FakeMachine) -> None:
    snp.write("/sys/devices/system/cpu/sev/vmpl", "1\n")
    snp.wanted = Hardware(vmpl=0)
    found = snp.finding("vmpl")
    assert found.state is State.MISSING
    assert found.text == "the kernel runs at VMPL 1, and --vmpl asks for 0"


def test_a_kernel_that_does_not_say_its_level(snp: FakeMachine) -> None:
    snp.log = KernelLog()
    snp.remove("/sys/devices/system/cpu/sev/vmpl")
    assert snp.finding("vmpl").state is State.UNKNOWN


def test_shows_why_no_entry_can_be_made(snp: FakeMachine) -> None:
    snp.refuse_entries(Cause.PROVIDER_MISSING)
    found = snp.finding("configfs-tsm")
    assert found.text == f"{TSM_ROOT}: cannot make an entry"
    assert found.observed == ("EXXX (because)",)


@pytest.mark.parametrize(
    ("mounts", "filesystems", "words"),
    [
        ("configfs /sys/kernel/config configfs rw 0 0\n", "nodev\tconfigfs\n", "mounted there"),
        ("configfs /run/x configfs rw 0 0\n", "nodev\tconfigfs\n", "mounted elsewhere: /run/x"),
        ("", "nodev\tconfigfs\n", "configfs is not mounted"),
        ("", "ext4\n", "no configfs loaded"),
    ],
)
def test_says_where_configfs_is(
    plain: FakeMachine, mounts: str, filesystems: str, words: str
) -> None:
    plain.write("/proc/self/mounts", mounts)
    plain.write("/proc/filesystems", filesystems)
    assert words in plain.finding("configfs-tsm").text


@pytest.mark.parametrize(
    ("provider", "topic"), [(SEV_GUEST, "configfs-tsm"), (CONFIGFS_TSM, "device")]
)
def test_what_was_not_chosen_is_not_missed(plain: FakeMachine, provider: str, topic: str) -> None:
    plain.wanted = Hardware(provider)
    assert plain.finding(topic).state is State.NOTE


def test_shows_who_owns_the_device(snp: FakeMachine) -> None:
    assert snp.finding("device").observed[0].startswith("crw")


def test_explains_a_directory_in_the_devices_place(snp: FakeMachine) -> None:
    snp.remove(DEVICE)
    snp.make(DEVICE)
    assert "hostPath" in snp.finding("device").text


def test_a_file_in_the_devices_place_is_one(snp: FakeMachine) -> None:
    snp.remove(DEVICE)
    snp.write(DEVICE)
    assert "an ordinary file" in snp.finding("device").text


def test_says_that_it_is_in_a_container_and_who_confines_it(snp: FakeMachine) -> None:
    snp.write("/proc/self/attr/current", "cri-containerd.apparmor.d (enforce)\n")
    snp.write("/proc/self/uid_map", "0 65536 65536\n")
    found = in_container(snp).finding("container")
    assert "KUBERNETES_SERVICE_HOST" in found.text
    assert "user namespace" in found.text
    assert found.observed == ("confined by: cri-containerd.apparmor.d (enforce)",)
