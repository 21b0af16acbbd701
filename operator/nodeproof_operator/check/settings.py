"""What ``nodeproof-operator check`` is told, from flags or the environment; flags win."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeproof import logs
from nodeproof_operator.check.seen import Place
from nodeproof_operator.cluster.objects import OPERATOR
from nodeproof_operator.flags import (
    add_agent_namespace,
    add_cluster_flags,
    add_log_flags,
    command_parser,
    default_from_environment,
    flag,
    seconds,
)

_DESCRIPTION = """\
Tells whether an installation of nodeproof works: a line for each thing that was looked at, and the
next step below what is wrong. It changes nothing. The chart runs it as `helm test`.

  ok       as it should be
  warning  works, but perhaps not as it was meant: nodes that are not attested, say
  FAILED   something does not work
"""

_EPILOG = """\
exit status: 0 nothing has failed; 1 something has; 2 wrong usage

examples:
  nodeproof-operator check                                 # in a pod of the cluster
  nodeproof-operator check --wait 120                      # right after installing
  kubectl -n nodeproof-system port-forward svc/nodeproof-operator 8443 &
  nodeproof-operator check --kubeconfig ~/.kube/config --operator-url https://localhost:8443

Every flag can be given by the environment: --wait as NODEPROOF_WAIT.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The command's settings."""

    kubeconfig: Path | None
    """None means: the ServiceAccount of the pod this runs in."""
    place: Place
    wait_seconds: float
    """How long to look again while something has failed."""
    log_format: logs.Format
    log_level: str


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings, or end the process with a usage message."""
    parser = command_parser("nodeproof-operator check", _DESCRIPTION, _EPILOG)
    cluster = add_cluster_flags(parser)
    add_agent_namespace(cluster)
    flag(
        cluster,
        "--operator-url",
        metavar="URL",
        help="the evidence service, https; default: the Service in the operator's namespace",
    )
    how = parser.add_argument_group("how")
    flag(
        how,
        "--wait",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="look again until nothing has failed, at most so long; default: %(default)g",
    )
    add_log_flags(parser, level="error")
    default_from_environment(parser, environment)
    given = parser.parse_args(arguments)
    url = given.operator_url or f"https://{OPERATOR}.{given.namespace}.svc:8443"
    if not url.startswith("https://"):
        parser.error("--operator-url: expected https://HOST:PORT")
    return Settings(
        kubeconfig=given.kubeconfig,
        place=Place(given.namespace, given.agent_namespace, url.rstrip("/")),
        wait_seconds=given.wait,
        log_format=given.log_format,
        log_level=given.log_level,
    )
