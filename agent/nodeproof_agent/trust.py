"""How the agent recognises its operator: by the CA bundle, and by nothing else on the machine."""

from __future__ import annotations

import ssl
from pathlib import Path

from nodeproof_agent.errors import CABundleUnusable
from nodeproof_agent.files import read_bounded

MAX_CA_BUNDLE_BYTES = 1024 * 1024
"""A ConfigMap, which the bundle comes from, holds no more."""


def tls_context(ca_file: Path) -> ssl.SSLContext:
    """Return a context that trusts exactly the certificates in the file as it is now.

    The system's own roots are never loaded: an empty bundle trusts nobody.

    Raises:
        CABundleUnusable: The file is missing, too large, or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(
            cadata=read_bounded(ca_file, MAX_CA_BUNDLE_BYTES).decode("ascii")
        )
    except (OSError, ValueError) as error:
        raise CABundleUnusable(
            "the CA file holds no usable certificate",
            expected="PEM certificates",
            observed=str(error),
        ) from error
    return context
