"""What the operator is told at start, from flags or the environment; flags win."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Final
from urllib.parse import SplitResult, urlsplit

from nodeproof import logs
from nodeproof.errors import VerificationError
from nodeproof.sevsnp.kds import BASE_URL
from nodeproof.sevsnp.roots import TrustAnchor, simulated_anchor
from nodeproof_operator.flags import (
    ENVIRONMENT_PREFIX,
    add_agent_namespace,
    add_cluster_flags,
    add_log_flags,
    command_parser,
    default_from_environment,
    flag,
)
from nodeproof_operator.intake.tls_files import TLSFiles

_LISTS = frozenset({"advertise_name", "allow_simulated"})

NO_NETWORK: Final = "off"
"""What ``--kds-url`` is where nothing may be fetched."""

_DESCRIPTION = """\
Verifies the evidence of confidential nodes, labels and taints Nodes, serves metrics.

Runs in the cluster with its own ServiceAccount, or anywhere with --kubeconfig. Run two or more:
all take evidence, the holder of the Lease writes. The objects it needs are in chart and deploy/.

Two further commands, each with a --help of its own:
  nodeproof-operator check     tells whether an installation works, and what to do if not
  nodeproof-operator cleanup   takes our labels and taint off every Node, before uninstalling
"""

_EPILOG = """\
Every flag can be given by the environment: --metrics-listen as NODEPROOF_METRICS_LISTEN; lists are
separated by commas.
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's settings."""

    kubeconfig: Path | None
    """None means: the ServiceAccount of the pod this runs in."""
    namespace: str
    agent_namespace: str
    """Where the agents run: their account, DaemonSet, Pods, and the CA that they trust."""
    identity: str
    """The holder's name in the Lease; different for each replica."""
    listen: Address
    metrics_listen: Address
    advertise_names: tuple[str, ...]
    """Names and addresses in the serving certificate, besides the Service's."""
    tls_files: TLSFiles | None
    """A serving certificate that somebody else makes; None: the operator makes its own."""
    simulated_anchors: tuple[TrustAnchor, ...]
    """Roots of simulated platforms that count, where a policy allows ``Simulated``."""
    kds_url: str | None
    """AMD's key service or a mirror of it; None: nothing is fetched."""
    kds_ca_file: Path | None
    """What the key service is recognised by, instead of the system's CAs."""
    kds_proxy: str | None = field(repr=False)
    """The HTTP proxy on the way there; it may hold credentials."""
    log_format: logs.Format
    log_level: str


def parse(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings, or end the process with a usage message."""
    parser = _parser(environment)
    given = parser.parse_args(arguments)
    tls_files = _tls_files(parser, given)
    roots = _listed(given.allow_simulated, environment, "ALLOW_SIMULATED")
    try:
        anchors = tuple(simulated_anchor(Path(path).read_bytes()) for path in roots)
    except (OSError, VerificationError) as error:
        parser.error(f"--allow-simulated: {error}")
    return Settings(
        kubeconfig=given.kubeconfig,
        namespace=given.namespace,
        agent_namespace=given.agent_namespace,
        identity=given.identity,
        listen=given.listen,
        metrics_listen=given.metrics_listen,
        advertise_names=_listed(given.advertise_name, environment, "ADVERTISE_NAME"),
        tls_files=tls_files,
        simulated_anchors=anchors,
        kds_url=None if given.kds_url == NO_NETWORK else given.kds_url,
        kds_ca_file=given.kds_ca_file,
        kds_proxy=given.kds_proxy,
        log_format=given.log_format,
        log_level=given.log_level,
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = command_parser("nodeproof-operator", _DESCRIPTION, _EPILOG)
    cluster = add_cluster_flags(parser)
    add_agent_namespace(cluster)
    flag(
        cluster,
        "--identity",
        default=f"{socket.gethostname()}-{token_hex(4)}",
        help="this replica's name in the Lease; default: host name and a random suffix",
    )
    serving = parser.add_argument_group("serving")
    flag(serving, "--listen", type=_address, default="0.0.0.0:8443", help="evidence service, HTTPS")
    flag(serving, "--metrics-listen", type=_address, default="0.0.0.0:9090", help="metrics, HTTP")
    flag(
        serving,
        "--advertise-name",
        action="append",
        metavar="NAME",
        help="further DNS name or address for the serving certificate; may be repeated",
    )
    flag(serving, "--tls-certificate", type=Path, help="PEM chain; default: make and rotate one")
    flag(serving, "--tls-key", type=Path, help="PEM key of --tls-certificate")
    flag(
        serving,
        "--tls-ca-file",
        type=Path,
        help="PEM of the CA of --tls-certificate, to be published to the agents; default: you do "
        "that. All three files are followed when they change",
    )
    trust = parser.add_argument_group("trust")
    flag(
        trust,
        "--allow-simulated",
        action="append",
        metavar="ARK",
        help="certificate of a simulated root whose evidence may count, where a policy allows the "
        "signer kind Simulated; NOT a proof of anything; may be repeated",
    )
    _add_kds_flags(parser)
    add_log_flags(parser)
    default_from_environment(parser, environment, _LISTS)
    return parser


def _add_kds_flags(parser: argparse.ArgumentParser) -> None:
    kds = parser.add_argument_group("AMD's certificates and revocation lists")
    flag(
        kds,
        "--kds-url",
        type=_kds_url,
        default=BASE_URL,
        metavar="URL|off",
        help="AMD's key service or a mirror of it, HTTPS; off: fetch nothing, and import bundles "
        "(nodeproof bundle --help); default: %(default)s",
    )
    flag(kds, "--kds-ca-file", type=Path, help="PEM of its CA; default: the system's CAs")
    flag(kds, "--kds-proxy", type=_proxy_url, metavar="URL", help="HTTP proxy on the way there")


def _tls_files(parser: argparse.ArgumentParser, given: argparse.Namespace) -> TLSFiles | None:
    certificate, key, ca = given.tls_certificate, given.tls_key, given.tls_ca_file
    if (certificate is None) != (key is None):
        parser.error("--tls-certificate and --tls-key go together")
    if certificate is None and ca is not None:
        parser.error("--tls-ca-file goes with --tls-certificate and --tls-key")
    return TLSFiles(certificate, key, ca) if certificate else None


def _listed(given: list[str] | None, environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return what a repeated flag lists; argparse would add flags to a default of a list."""
    return tuple(given or filter(None, environment.get(ENVIRONMENT_PREFIX + name, "").split(",")))


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 0xFFFF:  # noqa: PLR2004 - the highest port
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return Address(host.strip("[]"), int(port))


def _kds_url(text: str) -> str:
    url = _url(text)
    plain = url.scheme == "https" and not (url.query or url.fragment or "@" in url.netloc)
    if text != NO_NETWORK and not plain:
        raise argparse.ArgumentTypeError(f"{text!r} is neither https://HOST[:PORT][/PATH] nor off")
    return text


def _proxy_url(text: str) -> str:
    if _url(text).scheme not in {"http", "https"}:
        # The text is not shown: it may hold a password.
        raise argparse.ArgumentTypeError("not http://HOST:PORT")
    return text


def _url(text: str) -> SplitResult:
    """Return the parts of a URL with a host; all empty if it is none."""
    with suppress(ValueError):
        url = urlsplit(text)
        if url.hostname and url.port != 0:
            return url
    return urlsplit("")
