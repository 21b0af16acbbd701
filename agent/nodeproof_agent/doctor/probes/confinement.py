"""What keeps this process from things that the machine has: container, user, security modules."""

from __future__ import annotations

from dataclasses import dataclass

from nodeproof_agent.doctor.machine import Machine

_MARKERS = ("/.dockerenv", "/run/.containerenv")
_VARIABLES = ("KUBERNETES_SERVICE_HOST", "container")
_WORDS = ("kubepods", "docker", "containerd", "crio", "libpod")
_UNMAPPED = ["0", "0", "4294967295"]
"""The user mapping of a process outside any user namespace."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """Where this process stands.

    Attributes:
        container: What says that it runs in a container; empty if nothing does.
        euid: Its user.
        own_users: It is in a user namespace: its uid 0 is not the machine's.
        profile: The AppArmor profile or SELinux context that confines it, or empty.
    """

    container: str
    euid: int
    own_users: bool
    profile: str

    @property
    def by_apparmor(self) -> bool:
        """Whether an AppArmor profile is enforced."""
        return self.profile.endswith("(enforce)")


def probe_confinement(machine: Machine) -> Confinement:
    """Return what /proc and the environment tell about this process."""
    profile = machine.line("/proc/self/attr/current")
    return Confinement(
        container=_container(machine),
        euid=machine.euid,
        own_users=machine.line("/proc/self/uid_map").split() not in ([], _UNMAPPED),
        profile="" if profile in {"unconfined", "kernel"} else profile,
    )


def _container(machine: Machine) -> str:
    for variable in _VARIABLES:
        if machine.environment.get(variable):
            return f"the variable {variable}"
    groups = machine.text("/proc/self/cgroup") or ""
    if any(word in groups for word in _WORDS):
        return "its control group"
    # Neither is enough: images become disks, and some systems boot from an overlay.
    marked = next(filter(machine.exists, _MARKERS), "")
    return marked if marked and _on_overlay(machine) else ""


def _on_overlay(machine: Machine) -> bool:
    mounts = (line.split(" ") for line in (machine.text("/proc/self/mounts") or "").splitlines())
    return any(fields[1:3] == ["/", "overlay"] for fields in mounts)
