"""What ``nodeproof-operator cleanup`` is told, from flags or the environment; flags win."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from nodeproof import logs
from nodeproof_operator.flags import (
    add_cluster_flags,
    add_log_flags,
    command_parser,
    default_from_environment,
    flag,
    seconds,
)

KEEP, DELETE = "keep", "delete"

_DESCRIPTION = """\
Takes nodeproof's labels and its taint off every Node, so that none keeps them once nodeproof is
uninstalled. The chart runs it as a pre-delete hook.

It takes the Lease first, by force: no operator labels a Node again while it works, nor for a minute
after, in which the operator is to be removed. If something cannot be done it says what, gives the
Lease back, and the operator goes on as before.

Nodes then take every pod again: workloads that tolerate nothing are no more kept from nodes that
could not be attested, and pods that ask for an attested node stay pending.
"""

_EPILOG = """\
exit status: 0 all done; 1 not all done, the last lines say what; 2 wrong usage

examples:
  nodeproof-operator cleanup                      # as the ServiceAccount of the pod
  nodeproof-operator cleanup --kubeconfig ~/.kube/config --results delete

By hand, should it ever be needed, with the operator scaled to zero:
  kubectl label nodes --all nodeproof.node-restriction.kubernetes.io/POLICY-
  kubectl taint nodes --all nodeproof.dev/unattested-

Every flag can be given by the environment: --results as NODEPROOF_RESULTS.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The command's settings."""

    kubeconfig: Path | None
    """None means: the ServiceAccount of the pod this runs in."""
    namespace: str
    identity: str
    """The holder's name in the Lease; no two runs have the same."""
    delete_results: bool
    seconds: float
    """How long Nodes are tried again that cannot be cleaned."""
    log_format: logs.Format
    log_level: str


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings, or end the process with a usage message."""
    parser = command_parser("nodeproof-operator cleanup", _DESCRIPTION, _EPILOG)
    add_cluster_flags(parser)
    what = parser.add_argument_group("what to do")
    flag(
        what,
        "--results",
        choices=(KEEP, DELETE),
        default=KEEP,
        help="what becomes of the NodeAttestations; default: %(default)s",
    )
    flag(
        what,
        "--timeout",
        type=seconds,
        default=120.0,
        metavar="SECONDS",
        help="how long failing Nodes are tried again; default: %(default)g",
    )
    add_log_flags(parser)
    default_from_environment(parser, environment)
    given = parser.parse_args(arguments)
    return Settings(
        kubeconfig=given.kubeconfig,
        namespace=given.namespace,
        identity=f"cleanup-{socket.gethostname()}-{token_hex(4)}",
        delete_results=given.results == DELETE,
        seconds=given.timeout,
        log_format=given.log_format,
        log_level=given.log_level,
    )
