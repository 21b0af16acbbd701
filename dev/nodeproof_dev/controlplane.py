"""A control plane to work with: our own, started here, or one that exists already."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from nodeproof_dev.api import Api
from nodeproof_dev.build import controlplane_binary
from nodeproof_dev.components import MASTERS, Components
from nodeproof_dev.connection import Connection, read_kubeconfig, write_kubeconfig
from nodeproof_dev.errors import NotPossible
from nodeproof_dev.pki import KeyPair
from nodeproof_dev.process import clean_environment
from nodeproof_dev.server import Server
from nodeproof_dev.site import LOCAL, Site

EXISTING_VARIABLE = "NODEPROOF_KUBECONFIG"
"""The environment variable that names an existing cluster's kubeconfig to use instead."""

TOKEN_SECONDS = 30 * 24 * 3600
"""Life of a ServiceAccount's token in a kubeconfig: longer than any cluster is left running.

Clients read a kubeconfig once, so a token cannot be renewed under them.
"""

_KUBECTL_SECONDS = 60


class ControlPlane:
    """A running Kubernetes control plane.

    Our own is etcd, kube-apiserver with Node and RBAC authorization and NodeRestriction,
    kube-controller-manager with its default controllers, and kube-scheduler; identities are
    client certificates. On an existing cluster (``from_kubeconfig``) an identity is impersonated
    by its admin, since its certificate authority's key is not ours, and nothing can be stopped.

    Attributes:
        directory: Where kubeconfigs, logs and data are.
        admin: The admin's client.
        admin_kubeconfig: A kubeconfig of the admin.
        timings: Seconds from the start until each component was ready; empty if not ours.
    """

    def __init__(self, directory: Path, admin: Connection, own: Components | None) -> None:
        self.directory = directory
        self.admin = Api(admin)
        self.admin_kubeconfig = write_kubeconfig(directory / "admin.kubeconfig", admin)
        self.timings = own.timings if own else {}
        self._own = own

    @classmethod
    def start(cls, directory: Path, site: Site = LOCAL) -> Self:
        """Start a control plane of our own and wait until it works.

        Args:
            directory: Where kubeconfigs, logs and data go.
            site: Where it runs.

        Raises:
            BuildFailed: Its binary cannot be built.
            ComponentFailed: A component ended or did not become ready.
        """
        own = Components(controlplane_binary(), directory, site)
        try:
            own.start()
            return cls(directory, own.connection("admin", (MASTERS,)), own)
        except BaseException:
            own.stop()
            raise

    @classmethod
    def from_kubeconfig(cls, kubeconfig: Path, directory: Path) -> Self:
        """Use an existing cluster as its admin.

        Raises:
            NotPossible: The kubeconfig cannot be used.
        """
        plane = cls(directory, read_kubeconfig(kubeconfig), None)
        plane.admin.get("/readyz")
        return plane

    @classmethod
    def obtain(cls, directory: Path) -> Self:
        """Use the cluster that ``NODEPROOF_KUBECONFIG`` names, else start one."""
        existing = os.environ.get(EXISTING_VARIABLE)
        return cls.from_kubeconfig(Path(existing), directory) if existing else cls.start(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop our own components; an existing cluster is left as it is."""
        if self._own is not None:
            self._own.stop()

    @property
    def is_own(self) -> bool:
        """Whether this control plane was started by us."""
        return self._own is not None

    @property
    def api_server(self) -> Server:
        """The API server, to be stopped and started again.

        Raises:
            NotPossible: The cluster is not ours.
        """
        return self._components("its API server cannot be stopped").api_server

    def connection(self, user: str, groups: tuple[str, ...] = ()) -> Connection:
        """Return a connection as any user with any groups."""
        if self._own is None:
            return self.admin.connection.impersonating(user, groups)
        return self._own.connection(user, groups)

    def identity(self, user: str, groups: tuple[str, ...] = ()) -> Api:
        """Return a client as any user with any groups."""
        return Api(self.connection(user, groups))

    def kubeconfig(self, user: str, groups: tuple[str, ...] = ()) -> Path:
        """Write a kubeconfig (mode 0600) of any user with any groups; return its path."""
        return self._write(user, self.connection(user, groups))

    def serving_certificate(self, name: str, address: str) -> KeyPair:
        """Return a serving certificate of the cluster's authority.

        Raises:
            NotPossible: The cluster is not ours.
        """
        own = self._components("its authority's key is not ours either")
        return own.authority.server([name], [address])

    def service_account(self, namespace: str, name: str) -> Connection:
        """Return a connection as a ServiceAccount, with a token of its own (TokenRequest)."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        token = self.admin.create(path, request)["status"]["token"]
        admin = self.admin.connection
        return Connection(admin.server, admin.authority, token=token)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Write a kubeconfig (mode 0600) of a ServiceAccount; return its path."""
        return self._write(f"{namespace}-{name}", self.service_account(namespace, name))

    def kubectl(self, *arguments: str, kubeconfig: Path | None = None) -> str:
        """Run kubectl and return what it says.

        Raises:
            subprocess.CalledProcessError: It refused; ``stderr`` says why.
        """
        command = [*self.kubectl_command, "--kubeconfig", str(kubeconfig or self.admin_kubeconfig)]
        return subprocess.run(
            [*command, *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=_KUBECTL_SECONDS,
            env=clean_environment(),
        ).stdout

    @property
    def kubectl_command(self) -> list[str]:
        """The command that is kubectl: the one on PATH for a foreign cluster, else our binary's."""
        found = None if self.is_own else shutil.which("kubectl")
        return [found] if found else [str(controlplane_binary()), "kubectl"]

    @contextmanager
    def api_server_stopped(self) -> Iterator[None]:
        """Keep the API server stopped within the block; afterwards the controllers start anew.

        Left alone they would stay idle for up to half a minute. Worse, a controller whose Pods are
        watched again later than its Nodes never sees a Pod that came and went in between, expects
        it for five minutes, and creates no other.

        Raises:
            NotPossible: The cluster is not ours.
        """
        components = self._components("its API server cannot be stopped")
        components.api_server.stop()
        try:
            yield
        finally:
            components.api_server.start()
            components.restart_controllers()

    def _components(self, consequence: str) -> Components:
        if self._own is None:
            raise NotPossible(
                f"this cluster is not ours: {consequence}",
                expected=f"no {EXISTING_VARIABLE} in the environment",
            )
        return self._own

    def _write(self, name: str, connection: Connection) -> Path:
        safe = name.replace(":", "-").replace("/", "-")
        return write_kubeconfig(self.directory / "kubeconfigs" / f"{safe}.kubeconfig", connection)
