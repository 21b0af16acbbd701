"""How to reach the API server, and as whom: read anew each time, for tokens are short-lived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from nodeproof.errors import NodeproofError


class NotConnectable(NodeproofError):
    """Neither a kubeconfig nor a pod's ServiceAccount that can be used."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A server and an identity, as plain values for clients other than the gateway.

    Attributes:
        server: The API server's URL.
        authority_path: File with the CA certificates it must chain to, or None for the system's.
        scheme: Of the Authorization header, such as ``Bearer``; empty without a token.
        token: What follows the scheme.
        certificate_path: The client certificate's file, or None.
        key_path: The client key's file, or None.
        insecure: Whether the kubeconfig says not to verify the server.
    """

    server: str
    authority_path: str | None
    scheme: str
    token: str = field(repr=False)
    certificate_path: str | None
    key_path: str | None
    insecure: bool


CredentialsSource = Callable[[], Awaitable[Credentials]]


async def load_configuration(kubeconfig: Path | None) -> Configuration:
    """Return the official client's configuration, read now; None stands for the pod's own.

    Raises:
        NotConnectable: There is nothing usable to read.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None:
            # Who asks for a fresh token calls again: the client's own refreshing goes by wall time.
            load_incluster_config(client_configuration=configuration, try_refresh_token=False)
        else:
            await load_kube_config(
                config_file=str(kubeconfig),
                client_configuration=configuration,
                persist_config=False,
            )
    except (ConfigException, OSError, ValueError, TypeError, yaml.YAMLError) as error:
        source = f"kubeconfig {kubeconfig}" if kubeconfig else "the pod's ServiceAccount"
        # The parser's own words could quote the file, and so a token.
        raise NotConnectable(f"{source} cannot be used", observed=type(error).__name__) from None
    return configuration


async def load_credentials(kubeconfig: Path | None) -> Credentials:
    """Return server and identity, read now.

    Raises:
        NotConnectable: There is nothing usable to read.
    """
    configuration = await load_configuration(kubeconfig)
    scheme, _, token = authorization(configuration).partition(" ")
    return Credentials(
        server=configuration.host,
        authority_path=configuration.ssl_ca_cert,
        scheme=scheme.capitalize(),
        token=token.strip(),
        certificate_path=configuration.cert_file,
        key_path=configuration.key_file,
        insecure=not configuration.verify_ssl,
    )


def authorization(configuration: Configuration) -> str:
    """Return the value of the Authorization header, empty without a token."""
    return str(configuration.api_key.get("BearerToken", "")).strip()
