"""Another certificate authority of the evidence service, as its rotation would bring about."""

from __future__ import annotations

import base64
import socket
import ssl
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding

from nodeproof_dev.api import Api
from nodeproof_dev.helm import NAMESPACE
from nodeproof_operator.intake.serving import Serving, make_ca, make_leaf, names_of
from nodeproof_operator.intake.tls import decode, encode

PORT = 8443
_SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/nodeproof-serving-certificate"
_SERVICE = f"nodeproof-operator.{NAMESPACE}.svc"
_SECONDS = 5.0


def replace_authority(admin: Api) -> str:
    """Put a new authority into the operator's Secret, the old one retired; return it (PEM).

    This is what the operator itself writes at the end of a rotation, which takes it a day.
    """
    stored = admin.get(_SECRET)["data"]
    before = decode({name: base64.b64decode(value) for name, value in stored.items()})
    assert before is not None
    now = datetime.now(UTC)
    ca = make_ca(now)
    leaf = make_leaf(ca, names_of(before.leaf.certificate), now)
    entries = encode(Serving(ca, None, (before.ca.certificate,), leaf))
    data = {name: base64.b64encode(value).decode() for name, value in entries.items()}
    admin.merge_patch(_SECRET, {"data": data})
    return ca.certificate.public_bytes(Encoding.PEM).decode()


def is_recognised(address: str, ca: str) -> bool:
    """Return whether the evidence service at an address shows a certificate of this authority."""
    context = ssl.create_default_context(cadata=ca)
    try:
        with (
            socket.create_connection((address, PORT), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=_SERVICE),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return False
