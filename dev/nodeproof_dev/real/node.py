"""One real node: a machine with containerd, kubelet and kube-proxy."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_dev import objects
from nodeproof_dev.api import Object
from nodeproof_dev.connection import write_kubeconfig, write_private
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.errors import ComponentFailed, NotPossible, NotReadyInTime
from nodeproof_dev.images.oci import Archive
from nodeproof_dev.process import log_tail
from nodeproof_dev.real import cgroups, wiring
from nodeproof_dev.real.blueprint import Bind, Blueprint
from nodeproof_dev.real.machine import Machine
from nodeproof_dev.real.settings import BOOT_ID, SOCKET, NodeSettings

READY_SECONDS = 90.0
"""How long a node may take to become Ready; on a quiet machine it takes ten seconds."""

SIMULATED = "/var/lib/nodeproof/simulated"
"""Where, on a node, its simulated SNP machine is: in a directory of the Node's name."""

_IMPORT_SECONDS = 300


class RealNode:
    """A node that can be switched off and on; its disk, and so its images, stay.

    Attributes:
        name: The Node's name.
        address: Its address.
        machine: What it runs in.
    """

    def __init__(
        self,
        plane: ControlPlane,
        middle: Machine,
        settings: NodeSettings,
        *,
        directory: Path,
        binds: tuple[Bind, ...],
        of: int,
    ) -> None:
        """Prepare a node.

        Args:
            plane: The control plane that it joins.
            middle: The machine that has the bridge.
            settings: What tells it from others.
            directory: Its disk.
            binds: The programs that it gets from the host.
            of: How many nodes there will be.
        """
        self.name = settings.name
        self.address = settings.addresses.node(settings.number)
        self._plane = plane
        self._middle = middle
        self._settings = settings
        self._of = of
        self.machine = Machine(Blueprint(settings.name, str(directory), settings.services(), binds))

    @property
    def path(self) -> str:
        """The path of its Node."""
        return objects.node(self.name)

    @property
    def directory(self) -> Path:
        """Its disk (``var``), its programs' settings (``etc``) and logs (``log``)."""
        return self.machine.directory

    @property
    def simulated_machine(self) -> Path:
        """The directory, on the host, of its simulated SNP machine."""
        return self.directory / SIMULATED.lstrip("/") / self.name

    @property
    def boot_id(self) -> str:
        """The boot ID that its kubelet tells, and that its simulated machine has."""
        return (self.directory / "etc" / BOOT_ID).read_text().strip()

    @property
    def running(self) -> bool:
        """Whether it is switched on."""
        return self.machine.running

    def write_settings(self) -> None:
        """Write what its programs read, with an identity of its own in the cluster."""
        etc = self.directory / "etc"
        for name, text in self._settings.files().items():
            (etc / name).parent.mkdir(parents=True, exist_ok=True)
            (etc / name).write_text(text)
        identity = self._plane.connection(f"system:node:{self.name}", ("system:nodes",))
        write_kubeconfig(etc / "kubelet.kubeconfig", identity)
        write_kubeconfig(etc / "kube-proxy.kubeconfig", self._plane.connection("system:kube-proxy"))
        serving = self._plane.serving_certificate(self.name, self.address)
        (etc / "ca.crt").write_text(identity.authority)
        (etc / "kubelet.crt").write_text(serving.certificate)
        write_private(etc / "kubelet.key", serving.key)
        (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
        # Empty is a node without one: its agent's pod starts and says so.
        self.simulated_machine.mkdir(parents=True, exist_ok=True)

    def launch_platform(self, machine: SimulatedMachine) -> None:
        """Let it be the guest of a simulated SNP machine, in the boot that it is in."""
        replace(machine, boot_id=self.boot_id).save(self.simulated_machine)

    def power_on(self, **changes: Any) -> None:
        """Switch it on without waiting: another boot, with another boot ID.

        Args:
            changes: How its simulated machine is launched this time, if not as before.

        Raises:
            ComponentFailed: Its machine cannot be started.
        """
        cgroups.make(self._settings.cgroup)
        (self.directory / "etc" / BOOT_ID).write_text(f"{self._boot(changes)}\n")
        self.machine.start()
        number, addresses = self._settings.number, self._settings.addresses
        wiring.connect_node(addresses, self._middle, self.machine, number, self._of)
        self.machine.connected()

    def wait_ready(self, seconds: float = READY_SECONDS) -> Object:
        """Wait until its Node is Ready in this boot, and return it.

        Raises:
            ComponentFailed: It is not in time; the end of its kubelet's log is in the message.
        """
        try:
            return self._plane.admin.wait_for(
                self.path, self._is_ready, seconds=seconds, what=f"node {self.name} Ready"
            )
        except NotReadyInTime as error:
            log = self.directory / "log" / "kubelet.log"
            raise ComponentFailed(f"{error}; the end of {log}:\n{log_tail(log)}") from error

    def start(self, **changes: Any) -> None:
        """Switch it on and wait until it is Ready; see ``power_on`` and ``wait_ready``."""
        self.power_on(**changes)
        self.wait_ready()

    def stop(self) -> None:
        """Switch it off as if its power had failed; nobody is told."""
        self.machine.stop()
        cgroups.remove(self._settings.cgroup)

    def reboot(self, **changes: Any) -> None:
        """Switch it off, and on again; see ``power_on`` and ``wait_ready``."""
        self.stop()
        self.start(**changes)

    def import_image(self, archive: Path, name: str = "") -> None:
        """Give its containerd an image from a file; pods name it by tag or by digest.

        Args:
            archive: The file, an OCI archive.
            name: What the image is called here; else as the archive calls it.

        Raises:
            ComponentFailed: containerd does not take it.
        """
        image = Archive(archive)
        repository, _, tag = _full_name(name or image.name()).rpartition(":")
        # By no means under a name without a registry, as an archive may have it: kubelets mean
        # another name by that, and an image that containerd has by both cannot be run.
        named = ["--local", "--digests", f"--base-name={repository}"]
        self.ctr("images", "import", *named, str(archive))
        by_digest = f"{repository}@{image.digest()}"
        self.ctr("images", "tag", "--force", by_digest, f"{repository}:{tag}")

    def ctr(self, *arguments: str) -> str:
        """Run containerd's own client on it and return what it says.

        Raises:
            ComponentFailed: It failed.
        """
        socket = self.machine.root / SOCKET.lstrip("/")
        program = self.machine.root / "opt/nodeproof/containerd/ctr"
        done = subprocess.run(
            [program, f"--address={socket}", "--namespace=k8s.io", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_IMPORT_SECONDS,
        )
        if done.returncode:
            raise ComponentFailed(f"{self.name}: ctr {arguments[:2]}", observed=done.stderr.strip())
        return done.stdout

    def _boot(self, changes: Mapping[str, Any]) -> str:
        """Return the boot ID of the boot that begins now."""
        if (self.simulated_machine / "machine.json").exists():
            machine = SimulatedMachine.load(self.simulated_machine).reboot(**changes)
            machine.save(self.simulated_machine)
            return machine.boot_id
        if changes:
            raise NotPossible(f"node {self.name} has no simulated platform to change")
        return str(uuid.uuid4())

    def _is_ready(self, node: Object) -> bool:
        status = node.get("status", {})
        conditions = {(each["type"], each["status"]) for each in status.get("conditions", [])}
        told = status.get("nodeInfo", {}).get("bootID")
        return ("Ready", "True") in conditions and told == self.boot_id


def _full_name(name: str) -> str:
    """Return what a kubelet makes of an image's name."""
    return name if "/" in name else f"docker.io/library/{name}"
