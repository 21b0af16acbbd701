"""Where an API server is and who we are there; to and from kubeconfig files."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from nodeproof_dev.errors import NotPossible


@dataclass(frozen=True, slots=True)
class Connection:
    """An API server and one identity there.

    Attributes:
        server: Its URL.
        authority: The certificates that its own must chain to, PEM; empty for the system's.
        certificate: Our client certificate, PEM, or empty.
        key: The private key of that certificate, PEM.
        token: A bearer token, or empty.
        impersonated_user: Whom to act as, or empty; needs the right to impersonate.
        impersonated_groups: The groups of that user.
    """

    server: str
    authority: str
    certificate: str = ""
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    impersonated_user: str = ""
    impersonated_groups: tuple[str, ...] = ()

    def impersonating(self, user: str, groups: tuple[str, ...]) -> Connection:
        """Return the same connection acting as somebody else."""
        return replace(self, impersonated_user=user, impersonated_groups=groups)

    def headers(self) -> list[tuple[str, str]]:
        """Return the HTTP headers that state the identity."""
        stated = [("Authorization", f"Bearer {self.token}")] if self.token else []
        if self.impersonated_user:
            stated.append(("Impersonate-User", self.impersonated_user))
        return stated + [("Impersonate-Group", group) for group in self.impersonated_groups]

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS settings: the server's authority and our certificate."""
        context = ssl.create_default_context(cadata=self.authority or None)
        if self.certificate:
            # The library reads a key from a file only: it exists for this moment, ours to read.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain:
                chain.write(self.certificate + self.key)
                chain.flush()
                context.load_cert_chain(chain.name)
        return context


def write_private(path: Path, text: str) -> None:
    """Write a file that only we may read, replacing an older one in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    partial.rename(path)


def write_kubeconfig(path: Path, connection: Connection) -> Path:
    """Write a connection as a kubeconfig of mode 0600 with everything inline; return its path."""
    user = {
        "client-certificate-data": _encode(connection.certificate),
        "client-key-data": _encode(connection.key),
        "token": connection.token,
        "as": connection.impersonated_user,
        "as-groups": list(connection.impersonated_groups),
    }
    cluster = {
        "server": connection.server,
        "certificate-authority-data": _encode(connection.authority),
    }
    name = "nodeproof"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": _stated(cluster)}],
        "users": [{"name": name, "user": _stated(user)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    write_private(path, yaml.safe_dump(document, sort_keys=False))
    return path


def read_kubeconfig(path: Path) -> Connection:
    """Return the connection of a kubeconfig's current context.

    Raises:
        NotPossible: It cannot be read, or it wants a plugin to log in.
    """
    try:
        document = yaml.safe_load(path.read_text())
        context = _named(document, "context", document["current-context"])
        cluster = _named(document, "cluster", context["cluster"])
        user = _named(document, "user", context["user"])
        return _connection(path, cluster, user)
    except (OSError, yaml.YAMLError, KeyError, TypeError, StopIteration, binascii.Error) as error:
        raise NotPossible(f"{path} is not a usable kubeconfig", observed=repr(error)) from error


def _connection(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Connection:
    connection = Connection(
        server=cluster["server"],
        authority=_content(path, cluster, "certificate-authority"),
        certificate=_content(path, user, "client-certificate"),
        key=_content(path, user, "client-key"),
        token=str(user.get("token") or _content(path, user, "tokenFile").strip()),
    )
    if not (connection.certificate or connection.token):
        raise NotPossible(
            f"{path} holds neither a client certificate nor a token",
            expected="credentials that need no login plugin",
            observed=f"a user with {', '.join(sorted(user)) or 'nothing'}",
        )
    return connection


def _named(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = next(e for e in document[f"{kind}s"] if e["name"] == name)[kind]
    return entry


def _content(path: Path, entry: dict[str, Any], key: str) -> str:
    if data := entry.get(f"{key}-data"):
        return base64.b64decode(str(data)).decode()
    if file := entry.get(key):
        return (path.parent / str(file)).read_text()
    return ""


def _stated(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value}


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
