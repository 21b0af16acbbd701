"""The four processes of a control plane, and the files that they need.

Everything listens on one address only: the loopback one, unless the site is another. Flags beyond
the necessary ones say why they are there.
"""

from __future__ import annotations

import os
import shutil
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import urllib3

from nodeproof_dev.api import Api
from nodeproof_dev.connection import Connection, write_kubeconfig, write_private
from nodeproof_dev.errors import ApiRefused, ApiUnreachable
from nodeproof_dev.pki import Authority, KeyPair, signing_keys
from nodeproof_dev.ports import LOOPBACK
from nodeproof_dev.process import STOP_SECONDS, clean_environment, stop_all
from nodeproof_dev.server import Command, Ports, Question, Server
from nodeproof_dev.site import LOCAL, Site

_ASK_SECONDS = 2.0
_ISSUER = "https://kubernetes.default.svc"

MASTERS = "system:masters"
"""The group that RBAC never refuses; only the admin and the API server's own clients are in it."""


class Components:
    """A whole control plane of our own.

    Attributes:
        authority: Who issues every certificate in it.
        etcd: The store.
        api_server: The API server; may be stopped and started again, on the same port.
        controller_manager: The controllers.
        scheduler: The scheduler.
        timings: Seconds from the start until each of them was ready.
    """

    def __init__(self, binary: Path, directory: Path, site: Site = LOCAL) -> None:
        self._site = site
        self.authority = Authority("nodeproof-dev", datetime.now(UTC))
        self._admin = self.authority.client("readiness", (MASTERS,))
        self._ordinary = self.authority.client("system:kube-scheduler")
        self.timings: dict[str, float] = {}
        self._directory = directory
        self._data = directory / "etcd"
        # A killed run may have left its data, which belongs to its own keys.
        shutil.rmtree(self._data, ignore_errors=True)
        self._files = self._write_files()

        environment = clean_environment({"CONTROLPLANE_PARENT_PID": str(os.getpid())})

        def component(name: str, arguments: Command, ready: Question, ports: int = 1) -> Server:
            return Server(
                name,
                lambda given: [*site.enter, str(binary), name, *arguments(given)],
                ready,
                log_path=directory / "logs" / f"{name}.log",
                environment=environment,
                port_count=ports,
            )

        self.etcd = component("etcd", self._etcd, self._answers("http", "/readyz"), 3)
        self.api_server = component("kube-apiserver", self._api_server, self._api_ready)
        self.controller_manager = component(
            "kube-controller-manager", self._controller_manager, self._controllers_ready
        )
        self.scheduler = component(
            "kube-scheduler", self._scheduler, self._answers("https", "/readyz")
        )

    def connection(self, user: str, groups: tuple[str, ...]) -> Connection:
        """Return a connection with a fresh client certificate."""
        pair = self.authority.client(user, groups)
        server = f"https://{self._site.address}:{self.api_server.ports[0]}"
        return Connection(server, self.authority.certificate, pair.certificate, pair.key)

    def start(self) -> None:
        """Start everything; returns when the API server, controllers and scheduler work."""
        begun = time.monotonic()
        self._start(self.etcd, begun)
        self._start(self.api_server, begun)
        self._start_controllers(begun)

    def restart_controllers(self) -> None:
        """Start controller manager and scheduler anew, and wait until they work."""
        for each in (self.controller_manager, self.scheduler):
            each.kill()
        self._start_controllers(time.monotonic())

    def stop(self) -> None:
        """Stop everything at the same time; nothing of the data is needed any more."""
        clients = [self.scheduler, self.controller_manager, self.api_server]
        stop_all([child for each in clients for child in each.children], STOP_SECONDS)
        self.etcd.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def _start_controllers(self, begun: float) -> None:
        with ThreadPoolExecutor(max_workers=2) as pool:
            rest = (self.controller_manager, self.scheduler)
            for done in [pool.submit(self._start, each, begun) for each in rest]:
                done.result()

    def _start(self, component: Server, begun: float) -> None:
        component.start()
        self.timings[component.name] = time.monotonic() - begun

    def _write_files(self) -> Mapping[str, str]:
        serving = self.authority.server(self._site.names, self._site.addresses)
        kubelet_client = self.authority.client("kube-apiserver-kubelet-client", (MASTERS,))
        tokens = signing_keys()
        contents = {
            "ca.crt": self.authority.certificate,
            "serving.crt": serving.certificate,
            "serving.key": serving.key,
            "kubelet-client.crt": kubelet_client.certificate,
            "kubelet-client.key": kubelet_client.key,
            "tokens.pub": tokens.certificate,
            "tokens.key": tokens.key,
        }
        paths = {name: self._directory / "pki" / name for name in contents}
        for name, text in contents.items():
            write_private(paths[name], text)
        return {name: str(path) for name, path in paths.items()}

    def _etcd(self, ports: Ports) -> list[str]:
        # It asks nobody who he is: no pod may reach it. Its health is told to whoever asks.
        client, peer = (f"http://{LOOPBACK}:{port}" for port in ports[1:])
        return [
            f"--data-dir={self._data}",
            f"--listen-metrics-urls=http://{self._site.address}:{ports[0]}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # the data does not outlive the run
            "--log-level=warn",
        ]

    def _api_server(self, ports: Ports) -> list[str]:
        files = self._files
        return [
            f"--etcd-servers=http://{LOOPBACK}:{self.etcd.ports[1]}",
            f"--bind-address={self._site.address}",
            f"--secure-port={ports[0]}",
            f"--advertise-address={self._site.address}",
            *self._site.kubelet_flags(files),
            *self._serving(),
            f"--client-ca-file={files['ca.crt']}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={files['tokens.pub']}",
            f"--service-account-signing-key-file={files['tokens.key']}",
            f"--service-cluster-ip-range={self._site.service_range}",
            "--allow-privileged=true",
            "--profiling=false",
            # Otherwise open watches hold a stopping server for a minute.
            "--shutdown-watch-termination-grace-period=2s",
        ]

    def _controller_manager(self, ports: Ports) -> list[str]:
        return [
            f"--kubeconfig={self._kubeconfig('system:kube-controller-manager')}",
            f"--bind-address={self._site.address}",
            f"--secure-port={ports[0]}",
            *self._serving(),
            f"--service-account-private-key-file={self._files['tokens.key']}",
            f"--root-ca-file={self._files['ca.crt']}",
            # Each controller under its own name, as usual.
            "--use-service-account-credentials=true",
            # The usual 20 requests a second make the controllers five seconds slower to start.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            # The usual place is in /usr, where it would be created.
            f"--flex-volume-plugin-dir={self._directory / 'flexvolumes'}",
            "--leader-elect=false",  # there is only one
            "--profiling=false",
        ]

    def _scheduler(self, ports: Ports) -> list[str]:
        kubeconfig = self._kubeconfig("system:kube-scheduler")
        return [
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--bind-address={self._site.address}",
            f"--secure-port={ports[0]}",
            *self._serving(),
            "--leader-elect=false",  # there is only one
            "--profiling=false",
        ]

    def _serving(self) -> list[str]:
        return [
            f"--tls-cert-file={self._files['serving.crt']}",
            f"--tls-private-key-file={self._files['serving.key']}",
        ]

    def _kubeconfig(self, user: str) -> Path:
        path = self._directory / "kubeconfigs" / f"{user.rpartition(':')[2]}.kubeconfig"
        return write_kubeconfig(path, self.connection(user, ()))

    def _api_ready(self, ports: Ports) -> bool:
        # For a moment after a restart it is ready and knows nobody's rights but the admin's.
        return _found(self._asking(ports[0], self._admin), "/readyz") and _found(
            self._asking(ports[0], self._ordinary), "/api/v1/nodes?limit=1"
        )

    def _controllers_ready(self, ports: Ports) -> bool:
        # Nothing tells that the controllers work but their work.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        return self._answers("https", "/healthz")(ports) and _found(
            self._asking(self.api_server.ports[0], self._admin), account
        )

    def _asking(self, port: int, pair: KeyPair) -> Api:
        server = f"https://{self._site.address}:{port}"
        connection = Connection(server, self.authority.certificate, pair.certificate, pair.key)
        return Api(connection, timeout=_ASK_SECONDS)

    def _answers(self, scheme: str, path: str) -> Question:
        """Return a question to a component's own health endpoint."""
        trusted = ssl.create_default_context(cadata=self.authority.certificate)
        pool = urllib3.PoolManager(retries=False, ssl_context=trusted)

        def ask(ports: Ports) -> bool:
            url = f"{scheme}://{self._site.address}:{ports[0]}{path}"
            try:
                return pool.request("GET", url, timeout=_ASK_SECONDS).status == HTTPStatus.OK
            except urllib3.exceptions.HTTPError:
                return False

        return ask


def _found(api: Api, path: str) -> bool:
    try:
        return bool(api.find(path))
    except (ApiUnreachable, ApiRefused):
        return False
