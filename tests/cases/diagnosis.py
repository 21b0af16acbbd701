"""What one looks at first when something on a cluster with real nodes went wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from nodeproof_dev.process import log_tail
from nodeproof_dev.real.cluster import RealCluster

_QUESTIONS = (
    "get nodes --show-labels",
    "get attestationpolicies,nodeattestations",
    "get pods --all-namespaces --output wide",
    "get events --all-namespaces --sort-by .metadata.creationTimestamp",
    "-n nodeproof-system logs -l app.kubernetes.io/name=nodeproof-operator --tail 40 --prefix",
    "-n nodeproof-agents logs -l app.kubernetes.io/name=nodeproof-agent --tail 15 --prefix",
)
_MAX_LINES = 60


def diagnose(cluster: RealCluster) -> Iterator[tuple[str, str]]:
    """Yield titles and texts about a cluster; what cannot be had says why."""
    for question in _QUESTIONS:
        yield f"kubectl {question}", _answer(cluster, question.split())
    for node in cluster.nodes.values():
        yield f"kubelet of {node.name}", log_tail(node.directory / "log" / "kubelet.log")


def _answer(cluster: RealCluster, arguments: list[str]) -> str:
    try:
        said = cluster.plane.kubectl(*arguments)
    except subprocess.CalledProcessError as error:
        said = str(error.stderr)
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    return "\n".join(said.splitlines()[-_MAX_LINES:])
