"""Who this agent is, read from its own ServiceAccount token.

The claims are not verified here: they come from the kubelet by a file only we can read, and are
compared with a challenge, never believed on anybody's behalf. The operator verifies the token.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from nodeproof_agent.errors import TokenUnusable
from nodeproof_agent.files import read_bounded

MAX_TOKEN_BYTES = 16 * 1024
"""The largest token that is read; a bound token of Kubernetes has one to two KiB."""

_JWT = re.compile(r"[\w-]+\.([\w-]+)\.[\w-]+", re.ASCII)
"""The compact serialisation with three base64url parts (RFC 7515, section 7.1)."""


class _Named(msgspec.Struct, frozen=True):
    name: str
    uid: str


class _Bound(msgspec.Struct, frozen=True):
    node: _Named
    pod: _Named


class _Claims(msgspec.Struct, frozen=True):
    """The private claim of a token bound to a Pod (Kubernetes, managing service accounts)."""

    bound: _Bound = msgspec.field(name="kubernetes.io")


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """The Node and Pod that this agent runs as."""

    node_name: str
    node_uid: str
    pod_name: str
    pod_uid: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """One token and the identity in it; the token stays out of every repr."""

    identity: AgentIdentity
    token: str = field(repr=False)


def read_credentials(token_file: Path) -> Credentials:
    """Return what the token file holds now; the kubelet replaces it long before it expires.

    Raises:
        TokenUnusable: There is no file, no token in it, or one that names no Node and Pod.
    """
    try:
        text = read_bounded(token_file, MAX_TOKEN_BYTES).decode("ascii").strip()
    except (OSError, ValueError) as error:
        # Decoding errors hold the bytes they choke on: the cause is cut off.
        raise TokenUnusable(
            "the token file cannot be read", observed=type(error).__name__
        ) from None
    return Credentials(identity=_identity(text), token=text)


def _identity(token: str) -> AgentIdentity:
    match = _JWT.fullmatch(token)
    if match is None:
        raise TokenUnusable("the token file holds no token", expected="a JWT")
    payload = match[1] + "=" * (-len(match[1]) % 4)
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload), type=_Claims)
    except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError, RecursionError):
        # No cause: its text could quote the token.
        raise TokenUnusable(
            "the token does not say which Node and Pod it is for",
            expected="claims kubernetes.io.node and kubernetes.io.pod, each with name and uid",
        ) from None
    node, pod = claims.bound.node, claims.bound.pod
    return AgentIdentity(node_name=node.name, node_uid=node.uid, pod_name=pod.name, pod_uid=pod.uid)
