"""How an agent reaches its node's simulated machine: through the simulator, or as through a kernel.

The kernel's two interfaces are stood in for by the mounted configfs-tsm and the preloaded sev-guest
driver; the agent that uses them is the one that runs on real nodes. The boot ID is preloaded too:
the kernel's own would be this computer's, and would outlive every reboot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_agent.settings import CONFIGFS_TSM, SEV_GUEST, SIMULATED
from nodeproof_dev import sev_guest_shim, tsm_mount
from nodeproof_dev.build import REPOSITORY
from nodeproof_dev.sev_guest_driver import SevGuestDriver
from nodeproof_dev.sev_guest_shim import SevGuestShim, compile_shim
from nodeproof_dev.tsm_model import Faults
from nodeproof_dev.tsm_mount import TsmMount

BOOT_ID_SHIM = REPOSITORY / "dev" / "boot_id_shim" / "shim.c"


class Interface(Protocol):
    """What an agent is started with, so that it reaches its node's machine."""

    @property
    def arguments(self) -> Sequence[str]:
        """Its flags."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Its variables."""

    def booted(self, machine: SimulatedMachine) -> None:
        """Follow the machine into another boot; no agent runs meanwhile."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """The simulator within the agent, which has no faults.

    Attributes:
        machine: A simulated machine's directory.
    """

    machine: Path

    @property
    def arguments(self) -> Sequence[str]:
        """The provider and its machine."""
        return (f"--provider={SIMULATED}", f"--simulated-machine={self.machine}")

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def booted(self, machine: SimulatedMachine) -> None:
        """Do nothing: the agent itself looks at the directory."""


@dataclass(frozen=True, slots=True)
class Shims:
    """What is preloaded into agents.

    Attributes:
        boot_id: Gives them their machine's boot ID.
        sev_guest: Gives them the sev-guest driver.
    """

    boot_id: Path
    sev_guest: Path

    @classmethod
    def compile(cls, directory: Path) -> Shims:
        """Compile both into this directory.

        Raises:
            BuildFailed: A compiler or a header is missing, or refuses them.
        """
        return cls(compile_shim(directory, BOOT_ID_SHIM), compile_shim(directory))


def why_not(provider: str) -> str:
    """Return why there can be no interface for this provider here; empty if there can be one."""
    if provider == SIMULATED:
        return ""
    return (tsm_mount.missing() if provider == CONFIGFS_TSM else "") or sev_guest_shim.why_not()


class ThroughTsm:
    """The machine behind configfs-tsm: there while this is entered.

    Attributes:
        mount: The file system; its faults are switched while it is used.
    """

    def __init__(
        self, machine: Path, place: Path, shims: Shims, *, provider: str = CONFIGFS_TSM
    ) -> None:
        """Prepare; nothing is mounted yet.

        Args:
            machine: A simulated machine's directory.
            place: An empty directory: mount point, boot ID and log go there.
            shims: What is preloaded.
            provider: What the agent is told; ``auto`` finds no other interface.
        """
        self.mount = TsmMount(machine, place / "report")
        self._provider = provider
        self._no_device = place / "no-device"
        self._boot_id = _BootID(place / "boot_id", machine, shims)

    @property
    def arguments(self) -> Sequence[str]:
        """The provider, its mount point, and a device that is not there."""
        return (
            f"--provider={self._provider}",
            f"--tsm-root={self.mount.root}",
            f"--sev-guest-device={self._no_device}",
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """The boot ID."""
        return self._boot_id.environment

    def __enter__(self) -> Self:
        """Mount; raises what ``TsmMount`` does."""
        self.mount.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Unmount."""
        self.mount.__exit__()

    def booted(self, machine: SimulatedMachine) -> None:
        """State the new boot ID; every fault is gone."""
        self._boot_id.state(machine)
        if self.mount.root.is_mount():
            self.mount.faults = Faults()

    def lose_key(self) -> None:
        """Let the driver give up its key to the firmware, until the next boot."""
        self.mount.faults = Faults(error="ENOTTY")


class ThroughSevGuest:
    """The machine behind ``/dev/sev-guest``: there while this is entered.

    Attributes:
        driver: The driver; its faults are switched while it is used.
    """

    def __init__(self, machine: Path, place: Path, shims: Shims) -> None:
        """Prepare; nothing answers yet.

        Args:
            machine: A simulated machine's directory.
            place: An empty directory, for the boot ID.
            shims: What is preloaded.
        """
        self.driver = SevGuestDriver.of(SimulatedMachine.load(machine))
        self._shim = SevGuestShim(shims.sev_guest, self.driver)
        self._boot_id = _BootID(place / "boot_id", machine, shims)

    @property
    def arguments(self) -> Sequence[str]:
        """The provider; its device is where it always is."""
        return (f"--provider={SEV_GUEST}",)

    @property
    def environment(self) -> Mapping[str, str]:
        """The device and the boot ID."""
        ours, theirs = self._boot_id.environment, self._shim.environment
        preloaded = f"{ours['LD_PRELOAD']}:{theirs['LD_PRELOAD']}"
        return {**ours, **theirs, "LD_PRELOAD": preloaded}

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._shim.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop answering."""
        self._shim.__exit__(kind, error, trace)

    def booted(self, machine: SimulatedMachine) -> None:
        """State the new boot ID; every fault is gone."""
        self._boot_id.state(machine)
        self.driver.reboot()
        self.driver.machine = machine

    def lose_key(self) -> None:
        """Let the driver give up its key to the firmware, until the next boot."""
        self.driver.key_disabled = True


class _BootID:
    """The boot ID that an agent reads as the kernel's."""

    def __init__(self, file: Path, machine: Path, shims: Shims) -> None:
        self._file = file
        self.environment = {"LD_PRELOAD": str(shims.boot_id), "BOOT_ID_FILE": str(file)}
        self.state(SimulatedMachine.load(machine))

    def state(self, machine: SimulatedMachine) -> None:
        self._file.write_text(machine.boot_id + "\n")
