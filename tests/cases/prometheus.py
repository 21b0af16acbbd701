"""Debian's Prometheus, that scrapes the pods of a cluster with real nodes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from nodeproof_dev.process import wait_until
from nodeproof_dev.server import Ports, Server

CONFIGURATION = Path(__file__).parents[1] / "e2e" / "prometheus.yaml"
"""How an admin's Prometheus finds our pods; only the kubeconfig is put in."""

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus that runs."""

    url: str

    def query(self, expression: str) -> dict[str, float]:
        """Return the values of an expression, by their labels (JSON)."""
        query = urlencode({"query": expression})
        answer = urllib3.request("GET", f"{self.url}/api/v1/query?{query}", timeout=5.0).json()
        result: list[Mapping[str, Any]] = answer["data"]["result"]
        return {
            json.dumps(each["metric"], sort_keys=True): float(each["value"][1]) for each in result
        }

    def wait_for(self, expression: str, *values: float) -> None:
        """Wait until an expression has exactly these values."""
        wait_until(
            lambda: sorted(self.query(expression).values()) == sorted(values),
            seconds=_SECONDS,
            what=f"{expression} to be {values}",
        )


@contextmanager
def prometheus(kubeconfig: Path, directory: Path) -> Iterator[Prometheus]:
    """Run Prometheus on the loopback address while the block runs."""
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "prometheus.yaml"
    configuration.write_text(CONFIGURATION.read_text().replace("KUBECONFIG", str(kubeconfig)))

    def command(ports: Ports) -> list[str]:
        # Its parent's end, however it comes, is its own.
        return [
            "setpriv",
            "--pdeathsig=KILL",
            str(shutil.which("prometheus")),
            f"--config.file={configuration}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{ports[0]}",
        ]

    server = Server(
        "prometheus",
        command,
        _is_ready,
        log_path=directory / "prometheus.log",
        environment=os.environ,
    )
    server.start()
    try:
        yield Prometheus(f"http://127.0.0.1:{server.ports[0]}")
    finally:
        server.stop()
        shutil.rmtree(directory / "data", ignore_errors=True)


def _is_ready(ports: Ports) -> bool:
    try:
        url = f"http://127.0.0.1:{ports[0]}/-/ready"
        return urllib3.request("GET", url, retries=False, timeout=1.0).status == HTTPStatus.OK
    except urllib3.exceptions.HTTPError:
        return False
