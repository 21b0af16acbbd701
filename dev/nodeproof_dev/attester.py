"""An agent driven by hand: for tests that say the wrong thing, and for measuring.

It speaks the real protocol over real HTTPS with a real token, obtained as the agent's pod obtains
its own, but each step and each byte is the caller's.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import urllib3

from nodeproof.binding import report_data
from nodeproof.protocol import (
    CHALLENGES_PATH,
    EVIDENCE_PATH,
    PROTOCOL_VERSION,
    UNAVAILABLE_PATH,
)
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_dev.api import Object
from nodeproof_dev.node import SimulatedNode
from nodeproof_dev.pods import is_agent, pods_path
from nodeproof_dev.volumes import token_request

_TOKENS = "/api/v1/namespaces/nodeproof-agents/serviceaccounts/nodeproof-agent/token"
_ASK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the evidence service answered.

    Attributes:
        status: The HTTP status.
        body: The decoded JSON.
        retry_after: The header of that name, or empty.
    """

    status: int
    body: Any
    retry_after: str = ""

    @property
    def reason(self) -> str:
        """The reason of a refusal; empty on success."""
        return str(self.body.get("reason", ""))


class EvidenceClient:
    """Talks to one replica's evidence service.

    Attributes:
        url: The service.
    """

    def __init__(self, url: str, ca_file: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(ca_certs=ca_file, retries=False)

    def post(self, path: str, body: Any, token: str = "") -> Answer:
        """Send a request; bytes are sent as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        answer = self._pool.request(
            "POST", self.url + path, body=data, headers=headers, timeout=_ASK_SECONDS
        )
        return Answer(answer.status, answer.json(), answer.headers.get("Retry-After", ""))


class HandDrivenAttester:
    """The agent's pod of one node, whose every request is made by the caller.

    Attributes:
        client: The replica it talks to.
        node: The node whose agent it stands for.
        machine: The machine that makes its reports.
    """

    def __init__(
        self, client: EvidenceClient, node: SimulatedNode, machine: SimulatedMachine
    ) -> None:
        """Prepare.

        Args:
            client: The replica to talk to.
            node: The node; it runs no agent of its own, but the DaemonSet's pod is bound to it.
            machine: The machine that makes its reports.
        """
        self.client = client
        self.node = node
        self.machine = machine

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def pod(self) -> Object:
        """The agent's pod on this node."""
        return next(pod for pod in self.node.api.items(pods_path(self.name)) if is_agent(pod))

    @cached_property
    def token(self) -> str:
        """A token of the agent's pod, obtained with the node's identity."""
        status = self.node.api.create(_TOKENS, token_request(self.pod))["status"]
        token: str = status["token"]
        return token

    def ask(self, token: str | None = None) -> Answer:
        """Ask for a challenge."""
        body = {"protocol": PROTOCOL_VERSION}
        return self.client.post(CHALLENGES_PATH, body, self.token if token is None else token)

    def excuse(self, cause: str, message: str = "", token: str | None = None) -> Answer:
        """Say why there is no evidence."""
        body = {"protocol": PROTOCOL_VERSION, "cause": cause, "message": message}
        return self.client.post(UNAVAILABLE_PATH, body, self.token if token is None else token)

    def challenge(self) -> bytes:
        """Return a challenge.

        Raises:
            AssertionError: The service refuses to give one.
        """
        answer = self.ask()
        assert answer.status == 200, answer  # noqa: S101, PLR2004 - a precondition of the test
        return b64decode(answer.body["challenge"])

    def submission(
        self,
        challenge: bytes,
        *,
        report: bytes | None = None,
        boot_id: str | None = None,
        certificates: bytes | None = None,
    ) -> Object:
        """Return the submission that answers a challenge.

        Args:
            challenge: The challenge, as it was received.
            report: Another report than the machine's.
            boot_id: Another boot ID than the machine's.
            certificates: Another certificate table than the host's; no bytes are none at all.
        """
        boot_id = self.machine.boot_id if boot_id is None else boot_id
        made = self.machine.attest(report_data(challenge, boot_id)) if report is None else report
        table = self.machine.certificate_table() if certificates is None else certificates
        return {
            "protocol": PROTOCOL_VERSION,
            "challenge": b64encode(challenge).decode(),
            "bootID": boot_id,
            "report": b64encode(made).decode(),
            "certificates": b64encode(table).decode(),
        }

    def submit(self, submission: Any, token: str | None = None) -> Answer:
        """Send a submission."""
        return self.client.post(EVIDENCE_PATH, submission, self.token if token is None else token)

    def attest(self, certificates: bytes | None = None) -> Answer:
        """Do one whole attestation as an agent would, with the host's certificates or others."""
        return self.submit(self.submission(self.challenge(), certificates=certificates))
