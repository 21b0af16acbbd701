"""The two volumes of an agent's pod, filled as a kubelet does: token and CA bundle.

Both are read with the node's own identity. The API server gives them to a node only while a pod
that uses them is bound to it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from nodeproof.protocol import TOKEN_AUDIENCE
from nodeproof_dev.api import Api, Object
from nodeproof_dev.connection import write_private
from nodeproof_dev.errors import NotPossible

CA_CONFIG_MAP = "nodeproof-ca"
CA_KEY = "ca.crt"

RENEW_AT = 0.8
"""The part of a token's life after which a kubelet renews it."""

MISSING_CA_INTERVAL = timedelta(seconds=1)
"""How often an empty ConfigMap is read again."""

CA_INTERVAL = timedelta(seconds=10)
"""How often a filled one is; kubelets take about a minute."""

_DEFAULT_TOKEN_SECONDS = 3600


def token_request(pod: Object) -> Object:
    """Return the TokenRequest for the pod's projected token of our audience.

    Raises:
        NotPossible: The pod mounts no such token.
    """
    for volume in pod["spec"].get("volumes", []):
        for source in volume.get("projected", {}).get("sources", []):
            token = source.get("serviceAccountToken", {})
            if token.get("audience") == TOKEN_AUDIENCE:
                return _request(pod, token.get("expirationSeconds", _DEFAULT_TOKEN_SECONDS))
    raise NotPossible("the agent's pod mounts no token", expected=f"audience {TOKEN_AUDIENCE}")


def _request(pod: Object, seconds: int) -> Object:
    bound = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
    }
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [TOKEN_AUDIENCE],
            "expirationSeconds": seconds,
            "boundObjectRef": bound,
        },
    }


class AgentVolumes:
    """Token and CA bundle of one agent's pod, kept fresh.

    Attributes:
        token_file: The token; mode 0600, replaced in one step.
        ca_file: The CA bundle; absent while the ConfigMap does not hold one.
    """

    def __init__(
        self, api: Api, pod: Object, directory: Path, clock: Callable[[], datetime]
    ) -> None:
        self.token_file = directory / "token"
        self.ca_file = directory / CA_KEY
        self._api = api
        self._namespace: str = pod["metadata"]["namespace"]
        self._account: str = pod["spec"]["serviceAccountName"]
        self._request = token_request(pod)
        self._clock = clock
        self._renew_token_time: datetime | None = None
        self._read_ca_time: datetime | None = None

    def refresh(self) -> None:
        """Renew what is due.

        Raises:
            ApiRefused: The node may not read it (yet: the API server learns of a binding late).
            ApiUnreachable: The API server is away.
        """
        now = self._clock()
        if self._renew_token_time is None or now >= self._renew_token_time:
            self._renew_token_time = self._renew_token(now)
        if self._read_ca_time is None or now >= self._read_ca_time:
            self._read_ca_time = now + (CA_INTERVAL if self._read_ca() else MISSING_CA_INTERVAL)

    def _renew_token(self, now: datetime) -> datetime:
        accounts = f"/api/v1/namespaces/{self._namespace}/serviceaccounts"
        status = self._api.create(f"{accounts}/{self._account}/token", self._request)["status"]
        write_private(self.token_file, status["token"])
        return now + (datetime.fromisoformat(status["expirationTimestamp"]) - now) * RENEW_AT

    def _read_ca(self) -> bool:
        maps = f"/api/v1/namespaces/{self._namespace}/configmaps"
        bundle = (self._api.find(f"{maps}/{CA_CONFIG_MAP}") or {}).get("data", {}).get(CA_KEY)
        if bundle:
            write_private(self.ca_file, bundle)
        return bool(bundle)
