"""From a bearer token to a live Node and a live Pod of the agent's DaemonSet.

The API server vouches for the token only. It goes on doing so for ten seconds after a Pod is gone,
for Pods that are ending and for Nodes that were re-created: so Node and Pod are read, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nodeproof.challenge import token_digest
from nodeproof.errors import (
    AuthenticationError,
    NodeUnknown,
    NotTheAgent,
    PodUnknown,
    TokenRejected,
)
from nodeproof.protocol import TOKEN_AUDIENCE
from nodeproof_operator.cluster.errors import NotFound
from nodeproof_operator.cluster.gateway import Gateway, Json
from nodeproof_operator.cluster.objects import AGENT, TOKEN_REVIEWS, daemon_set, node, pod
from nodeproof_operator.intake.admission import RefusedTokens
from nodeproof_operator.intake.errors import deferred_on_api_trouble
from nodeproof_operator.intake.tokens import check_shape

_EXTRA = "authentication.kubernetes.io/"
"""Prefix of what the API server adds to the identity behind a bound token."""

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
"""A DNS subdomain (RFC 1123), as Nodes and Pods are named: it becomes part of a path."""


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Which agent is calling, all of it confirmed by the API server within this request."""

    node_name: str
    node_uid: str
    pod_name: str
    pod_uid: str


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Decides whether a token is that of our agent on a live node.

    Attributes:
        gateway: The API server.
        namespace: Where the agent's ServiceAccount, DaemonSet and Pods live.
        refused: What was refused a moment ago.
        clock: The time, with its zone.
    """

    gateway: Gateway
    namespace: str
    refused: RefusedTokens
    clock: Callable[[], datetime]

    async def authenticate(self, token: str) -> AgentIdentity:
        """Return who holds ``token``.

        Raises:
            TokenRejected: Malformed, expired, forged, or for another audience.
            NotTheAgent: A valid identity, but not of an agent's Pod on a Node.
            NodeUnknown: Its Node is gone, going or re-created.
            PodUnknown: Its Pod is gone, ending, elsewhere, or not the DaemonSet's.
            Overloaded: The API server cannot be asked now; nothing is said about the token.
        """
        check_shape(token, TOKEN_AUDIENCE, self.clock())
        digest = token_digest(token)
        self.refused.check(digest)
        try:
            with deferred_on_api_trouble():
                return await self._ask(token)
        except AuthenticationError as error:
            self.refused.remember(digest, error)
            raise

    async def _ask(self, token: str) -> AgentIdentity:
        identity = self._identity(await self._review(token))
        await self._check_node(identity)
        await self._check_pod(identity)
        return identity

    async def _review(self, token: str) -> Json:
        """Return the user that the API server knows by this token for our audience."""
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [TOKEN_AUDIENCE]},
        }
        answer = await self.gateway.call("POST", TOKEN_REVIEWS, review)
        status = answer.get("status") or {}
        # A refusal says nothing at all instead of false.
        if status.get("authenticated") is not True:
            raise TokenRejected("the API server does not accept the token")
        audiences = status.get("audiences") or ()
        # An API server that knows no audiences answers without them: then anyone's token would do.
        if TOKEN_AUDIENCE not in audiences:
            raise TokenRejected(
                "the API server does not vouch for the token's audience",
                expected=TOKEN_AUDIENCE,
                observed=", ".join(audiences),
            )
        user: Json = status.get("user") or {}
        return user

    def _identity(self, user: Mapping[str, Any]) -> AgentIdentity:
        expected = f"system:serviceaccount:{self.namespace}:{AGENT}"
        observed = str(user.get("username", ""))
        if observed != expected:
            raise NotTheAgent("not the agent's identity", expected=expected, observed=observed)
        extra = user.get("extra") or {}
        return AgentIdentity(
            node_name=_name(extra, "node-name"),
            node_uid=_fact(extra, "node-uid"),
            pod_name=_name(extra, "pod-name"),
            pod_uid=_fact(extra, "pod-uid"),
        )

    async def _check_node(self, identity: AgentIdentity) -> None:
        found = await self._read(node(identity.node_name))
        if found is None:
            raise NodeUnknown("the agent's Node does not exist", expected=identity.node_name)
        _check_uid(found, identity.node_uid, NodeUnknown, "the Node was re-created")
        if "deletionTimestamp" in found["metadata"]:
            raise NodeUnknown("the agent's Node is being deleted", observed=identity.node_name)

    async def _check_pod(self, identity: AgentIdentity) -> None:
        found = await self._read(pod(self.namespace, identity.pod_name))
        if found is None:
            raise PodUnknown("the agent's Pod does not exist", expected=identity.pod_name)
        _check_uid(found, identity.pod_uid, PodUnknown, "the Pod was re-created")
        _check_place(found, identity.node_name)
        owner = await self._read(daemon_set(self.namespace, AGENT))
        _check_controller(found, owner)

    async def _read(self, path: str) -> Json | None:
        try:
            return await self.gateway.call("GET", path)
        except NotFound:
            return None


def _fact(extra: Mapping[str, Any], key: str) -> str:
    values = extra.get(_EXTRA + key)
    if isinstance(values, list) and len(values) == 1 and values[0]:
        return str(values[0])
    raise NotTheAgent("the token is not bound to a Pod on a Node", expected=f"one {key}")


def _name(extra: Mapping[str, Any], key: str) -> str:
    name = _fact(extra, key)
    if not _NAME.fullmatch(name):
        raise NotTheAgent(f"the token's {key} is not a name of the API")
    return name


def _check_uid(
    found: Mapping[str, Any], uid: str, error: type[AuthenticationError], message: str
) -> None:
    observed = found["metadata"]["uid"]
    if observed != uid:
        raise error(message, expected=uid, observed=observed)


def _check_place(found: Mapping[str, Any], node_name: str) -> None:
    if "deletionTimestamp" in found["metadata"]:
        raise PodUnknown("the agent's Pod is ending", observed=found["metadata"]["name"])
    observed = (found.get("spec") or {}).get("nodeName") or ""
    if observed != node_name:
        raise PodUnknown(
            "the agent's Pod runs on another node", expected=node_name, observed=observed
        )


def _check_controller(found: Mapping[str, Any], owner: Mapping[str, Any] | None) -> None:
    """Check that the Pod is the DaemonSet's: anyone who may create Pods can name our account."""
    if owner is None:
        raise PodUnknown("the agent's DaemonSet does not exist", expected=AGENT)
    expected = ("apps/v1", "DaemonSet", owner["metadata"]["uid"])
    observed = _controller(found)
    if observed != expected:
        raise PodUnknown(
            "the Pod is not controlled by the agent's DaemonSet",
            expected=" ".join(expected),
            observed=" ".join(observed),
        )


def _controller(found: Mapping[str, Any]) -> tuple[str, ...]:
    for each in found["metadata"].get("ownerReferences") or ():
        if each.get("controller") is True:
            return tuple(str(each.get(key, "")) for key in ("apiVersion", "kind", "uid"))
    return ()
