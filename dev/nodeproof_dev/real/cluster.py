"""A whole cluster with real nodes, started and stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from nodeproof_dev import build
from nodeproof_dev.api import Api
from nodeproof_dev.build import cache_directory
from nodeproof_dev.connection import write_kubeconfig
from nodeproof_dev.controlplane import ControlPlane
from nodeproof_dev.errors import NotPossible
from nodeproof_dev.real import settings, wiring
from nodeproof_dev.real.blueprint import PROGRAMS, Bind, Blueprint
from nodeproof_dev.real.machine import Machine
from nodeproof_dev.real.node import RealNode
from nodeproof_dev.real.requirements import require
from nodeproof_dev.real.reservation import Reservation, reserve
from nodeproof_dev.real.settings import NodeSettings
from nodeproof_dev.real.single_layer import write_image
from nodeproof_dev.site import Site

NODE_NAMES = ("node-1", "node-2", "node-3")
"""The nodes that a cluster has unless others are named."""

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"

_MIDDLE = "control-plane"


class RealCluster:
    """A control plane and nodes with kubelets; used as a context manager.

    Attributes:
        directory: Where kubeconfigs, logs and the nodes' disks are; logs stay.
        timings: Seconds from the start until each part of it was ready.
    """

    def __init__(
        self,
        directory: Path,
        *,
        names: Sequence[str] = NODE_NAMES,
        labels: Mapping[str, str] | None = None,
        control_plane_node: str = "",
    ) -> None:
        """Prepare a cluster.

        Args:
            directory: Where everything goes.
            names: The nodes.
            labels: Labels that every node gives itself.
            control_plane_node: The name of a node that is labelled as one of the control plane.
        """
        self.directory = directory
        self.timings: dict[str, float] = {}
        self._names = tuple(names)
        self._labels = dict(labels or {})
        self._control_plane_node = control_plane_node
        self._stack = ExitStack()
        self._plane: ControlPlane | None = None
        self._nodes: dict[str, RealNode] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def plane(self) -> ControlPlane:
        """Its control plane.

        Raises:
            NotPossible: It was not started.
        """
        if self._plane is None:
            raise NotPossible("this cluster was not started")
        return self._plane

    @property
    def admin(self) -> Api:
        """The admin's client."""
        return self.plane.admin

    @property
    def admin_kubeconfig(self) -> Path:
        """A kubeconfig of the admin, good on this machine."""
        return self.plane.admin_kubeconfig

    @property
    def kubectl_command(self) -> list[str]:
        """The command that is kubectl."""
        return self.plane.kubectl_command

    @property
    def nodes(self) -> Mapping[str, RealNode]:
        """Its nodes by name."""
        return self._nodes

    def start(self) -> None:
        """Start everything; returns when all nodes are Ready.

        Raises:
            NotPossible: This machine cannot run it; the message says why.
            BuildFailed: A program that it takes cannot be built.
            ComponentFailed: A part of it did not become ready.
        """
        require(self.directory)
        # Built before the time begins that is measured as the cluster's own.
        programs = _programs()
        try:
            self._start(programs, time.monotonic())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, and leave nothing behind but kubeconfigs and logs."""
        self._stack.close()

    def _start(self, programs: tuple[Bind, ...], begun: float) -> None:
        reservation = reserve(cache_directory() / "real")
        self._stack.callback(reservation.give_back)
        machines = self.directory / "machines"
        reservation.record(machines)
        binds = (*programs, _images(machines, programs))
        middle = self._start_middle(reservation, binds)
        addresses = reservation.addresses
        site = Site(addresses.control_plane, middle.enter, addresses.services, has_kubelets=True)
        self._plane = ControlPlane.start(self.directory, site)
        self._stack.callback(self._plane.stop)
        self.timings = dict(self._plane.timings)
        _let_names_be_read(self._plane, middle)
        for number, name in enumerate(self._names, start=1):
            cgroup = f"{reservation.cgroup}/{name}"
            self._nodes[name] = RealNode(
                self._plane,
                middle,
                NodeSettings(name, number, addresses, cgroup, self._labels),
                directory=machines / name,
                binds=binds,
                of=len(self._names),
            )
        self._start_nodes()
        self.timings["nodes"] = time.monotonic() - begun

    def _start_middle(self, reservation: Reservation, binds: tuple[Bind, ...]) -> Machine:
        """Start the machine that has the bridge, the control plane's network, and DNS."""
        directory = self.directory / "machines" / _MIDDLE
        middle = Machine(Blueprint(_MIDDLE, str(directory), (settings.names_service(),), binds))
        settings.write_names_settings(directory, reservation.addresses)
        self._stack.callback(middle.stop)
        middle.start()
        wiring.connect_host(reservation.addresses, middle, len(self._names))
        middle.connected()
        return middle

    def _start_nodes(self) -> None:
        nodes = list(self._nodes.values())
        self._stack.callback(lambda: in_parallel(nodes, RealNode.stop))
        for node in nodes:
            node.write_settings()
        in_parallel(nodes, RealNode.start)
        if self._control_plane_node:
            labels = {"metadata": {"labels": {CONTROL_PLANE_LABEL: ""}}}
            self.admin.merge_patch(self._nodes[self._control_plane_node].path, labels)


def in_parallel(nodes: list[RealNode], do: Callable[[RealNode], None]) -> None:
    """Do the same with several nodes at the same time."""
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        for done in [pool.submit(do, node) for node in nodes]:
            done.result()


def _programs() -> tuple[Bind, ...]:
    """Return the programs of a node, built first if need be."""
    runc = shutil.which("runc")
    built = {program.name: build.directory_of(program) for program in build.NODE_PROGRAMS}
    binds = [Bind(str(path), f"{PROGRAMS}/{name}") for name, path in built.items()]
    if runc:
        binds.append(Bind(runc, f"{PROGRAMS}/runtime/runc"))
    return tuple(binds)


def _images(machines: Path, programs: tuple[Bind, ...]) -> Bind:
    """Write the images that every node has from the start."""
    built = next(each.source for each in programs if each.target == f"{PROGRAMS}/node")
    images = machines / "images"
    images.mkdir(parents=True, exist_ok=True)
    for program, name in settings.IMAGES.items():
        files = {program: Path(built, program)}
        write_image(images / f"{program}.tar", name, files, f"/{program}")
    return Bind(str(images), settings.IMAGES_DIRECTORY)


def _let_names_be_read(plane: ControlPlane, middle: Machine) -> None:
    """Give CoreDNS the right to see Services, and the kubeconfig that it waits for."""
    user = "system:coredns"
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]},
    ]
    group = {"apiGroup": "rbac.authorization.k8s.io"}
    rbac = {"apiVersion": f"{group['apiGroup']}/v1", "metadata": {"name": user}}
    verbs = {"verbs": ["list", "watch"]}
    plane.admin.apply(rbac | {"kind": "ClusterRole", "rules": [rule | verbs for rule in rules]})
    plane.admin.apply(
        rbac
        | {
            "kind": "ClusterRoleBinding",
            "roleRef": group | {"kind": "ClusterRole", "name": user},
            "subjects": [group | {"kind": "User", "name": user}],
        }
    )
    write_kubeconfig(middle.directory / "etc" / "dns.kubeconfig", plane.connection(user))
