"""Debian's Prometheus, that scrapes the pods of a cluster with real nodes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from nodeproof_dev.api import Object
from nodeproof_dev.process import wait_until
from nodeproof_dev.server import Ports, Server

CONFIGURATION = Path(__file__).parents[1] / "e2e" / "prometheus.yaml"
"""How it scrapes our pods."""

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
def prometheus(pods: Iterable[Object], directory: Path) -> Iterator[Prometheus]:
    """Run Prometheus on the loopback address while the block runs; it scrapes these pods."""
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / CONFIGURATION.name
    shutil.copyfile(CONFIGURATION, configuration)
    (directory / "targets.json").write_text(json.dumps([_target(pod) for pod in pods]))

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


def _target(pod: Object) -> Object:
    """Return where a pod serves metrics, and what its samples are marked with."""
    (container,) = pod["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    labels = {"component": pod["metadata"]["labels"]["app.kubernetes.io/name"]}
    return {"targets": [f"{pod['status']['podIP']}:{ports['metrics']}"], "labels": labels}


def _is_ready(ports: Ports) -> bool:
    try:
        url = f"http://127.0.0.1:{ports[0]}/-/ready"
        return urllib3.request("GET", url, retries=False, timeout=1.0).status == HTTPStatus.OK
    except urllib3.exceptions.HTTPError:
        return False
