"""The real operator as a process of this machine, with its own ServiceAccount's rights."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import urllib3

from nodeproof_dev.ports import LOOPBACK
from nodeproof_dev.process import clean_environment, python_command
from nodeproof_dev.server import Ports, Server
from nodeproof_operator.cluster.objects import AGENT_NAMESPACE, NAMESPACE
from nodeproof_operator.settings import NO_NETWORK

SERVICE_ACCOUNT = "nodeproof-operator"

_ASK_SECONDS = 2.0


class OperatorProcess(Server):
    """One replica of the operator; it keeps its ports when it is stopped and started again."""

    def __init__(
        self,
        name: str,
        kubeconfig: Path,
        log_path: Path,
        *,
        simulated_roots: Sequence[Path],
        kds_url: str = NO_NETWORK,
        kds_ca_file: Path | None = None,
    ) -> None:
        """Prepare a replica.

        Args:
            name: What to call it; also its name in the Lease.
            kubeconfig: The ServiceAccount's, never the admin's.
            log_path: Where its output goes.
            simulated_roots: Certificates of simulated roots that it is told to accept.
            kds_url: Where it fetches what is missing; nowhere unless told.
            kds_ca_file: The CA that this server's certificate chains to; None: the system's.
        """
        self._network = [f"--kds-url={kds_url}"]
        if kds_ca_file is not None:
            self._network.append(f"--kds-ca-file={kds_ca_file}")
        self._kubeconfig = kubeconfig
        self._roots = tuple(simulated_roots)
        super().__init__(
            name,
            self._command_line,
            _is_ready,
            log_path=log_path,
            environment=clean_environment(),
            port_count=2,
        )

    @property
    def url(self) -> str:
        """The evidence service."""
        return f"https://{LOOPBACK}:{self.ports[0]}"

    @property
    def metrics_url(self) -> str:
        """Metrics and health."""
        return f"http://{LOOPBACK}:{self.ports[1]}"

    def _command_line(self, ports: Ports) -> list[str]:
        listen, metrics = (f"{LOOPBACK}:{port}" for port in ports)
        return python_command(
            "nodeproof_operator",
            [
                f"--kubeconfig={self._kubeconfig}",
                f"--namespace={NAMESPACE}",
                f"--agent-namespace={AGENT_NAMESPACE}",
                f"--identity={self.name}",
                f"--listen={listen}",
                f"--metrics-listen={metrics}",
                f"--advertise-name={LOOPBACK}",
                *(f"--allow-simulated={root}" for root in self._roots),
                *self._network,
                "--log-format=json",
            ],
        )


def _is_ready(ports: Ports) -> bool:
    url = f"http://{LOOPBACK}:{ports[1]}/readyz"
    try:
        answer = urllib3.request("GET", url, retries=False, timeout=_ASK_SECONDS)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status == HTTPStatus.OK
