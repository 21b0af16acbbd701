"""TLS of the evidence service: a context that takes new certificates while it serves.

In here the operator makes CA and certificate itself and shares them between replicas in a Secret;
``tls_files`` is for certificates that somebody else makes.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from nodeproof.errors import NodeproofError
from nodeproof_operator.cluster.objects import SERVING_CERTIFICATE
from nodeproof_operator.cluster.secrets import SealedStore, until_first
from nodeproof_operator.intake.ca_bundle import CA_CERTIFICATES, CABundle, pem
from nodeproof_operator.intake.serving import KeyPair, Names, Serving, maintain, names_of

CA_KEY = "ca.key"
SUCCESSOR_CERTIFICATE = "ca-next.crt"
SUCCESSOR_KEY = "ca-next.key"
LEAF_CERTIFICATE = "tls.crt"
LEAF_KEY = "tls.key"

_log = structlog.get_logger()


class CertificateUnreadable(NodeproofError):
    """A Secret or files that hold no usable certificate with its key."""


def server_context() -> ssl.SSLContext:
    """Return a context without a certificate: TLS 1.2 at least (RFC 9325, section 3.1)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def check_pair(certificates: bytes, key: bytes) -> None:
    """Check that a context would take this certificate.

    Raises:
        CertificateUnreadable: They are no PEM certificate and its key.
    """
    _load(server_context(), certificates, key)


def take(context: ssl.SSLContext, certificates: bytes, key: bytes) -> None:
    """Let a context, also one that is serving, show this certificate from now on.

    Raises:
        CertificateUnreadable: They are no PEM certificate and its key; the context is as before.
    """
    check_pair(certificates, key)
    _load(context, certificates, key)


def _load(context: ssl.SSLContext, certificates: bytes, key: bytes) -> None:
    try:
        # The library reads files only: this one lives in memory, so no key is left on a disk.
        descriptor = os.memfd_create("serving-certificate", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key + b"\n" + certificates)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except (ssl.SSLError, OSError) as error:
        raise CertificateUnreadable("not a certificate and its key", observed=str(error)) from None


class SharedCertificate:
    """CA and certificate that the replicas keep in a Secret.

    Args:
        store: The operator's namespace, with the Secret.
        bundle: Where the CA is published.
        names: What the certificate is to name.
        clock: The time, with its zone.
    """

    refresh_seconds = 300.0
    """Between two looks at a certificate that is renewed ten days before its end."""

    def __init__(
        self,
        store: SealedStore,
        bundle: CABundle,
        names: Names,
        clock: Callable[[], datetime],
    ) -> None:
        self.context = server_context()
        self._store = store
        self._bundle = bundle
        self._names = names
        self._clock = clock
        self._shown: x509.Certificate | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a certificate to show."""
        return self._shown is not None

    async def refresh(self) -> None:
        """Read the Secret; make and renew what is due; publish the CA; show the certificate.

        Raises:
            ApiError: Secret or ConfigMap cannot be read or written.
            CertificateUnreadable: The Secret holds something else; an admin may empty it.
        """
        await until_first(self._refresh_once)

    async def _refresh_once(self) -> None:
        data, precondition = await self._store.read(SERVING_CERTIFICATE)
        known = decode(data)
        due = maintain(known, self._names, self._clock())
        if due is not known:
            await self._store.fill(SERVING_CERTIFICATE, encode(due), precondition)
        await self._bundle.publish(due.trusted)
        self._show(due.leaf)

    def _show(self, leaf: KeyPair) -> None:
        if leaf.certificate != self._shown:
            take(self.context, pem(leaf.certificate), _key_pem(leaf))
            self._shown = leaf.certificate
            _log.info(
                "serving certificate in use",
                expires=leaf.certificate.not_valid_after_utc.isoformat(),
            )


def encode(serving: Serving) -> Mapping[str, bytes]:
    """Return the Secret's entries."""
    entries = {
        CA_CERTIFICATES: pem(*serving.trusted),
        CA_KEY: _key_pem(serving.ca),
        LEAF_CERTIFICATE: pem(serving.leaf.certificate),
        LEAF_KEY: _key_pem(serving.leaf),
    }
    if serving.successor:
        entries[SUCCESSOR_CERTIFICATE] = pem(serving.successor.certificate)
        entries[SUCCESSOR_KEY] = _key_pem(serving.successor)
    return entries


def decode(data: Mapping[str, bytes]) -> Serving | None:
    """Return what the Secret's entries hold, None if there are none.

    Raises:
        CertificateUnreadable: They are not what ``encode`` makes.
    """
    if not data:
        return None
    try:
        serving = _serving(data)
        names_of(serving.leaf.certificate)
    except (KeyError, ValueError, TypeError, x509.ExtensionNotFound):
        # Without the cause: it may quote a key.
        raise CertificateUnreadable(
            f"the Secret {SERVING_CERTIFICATE} holds no CA and certificate of ours"
        ) from None
    return serving


def _serving(data: Mapping[str, bytes]) -> Serving:
    issuing, *others = x509.load_pem_x509_certificates(data[CA_CERTIFICATES])
    successor = None
    if SUCCESSOR_CERTIFICATE in data:
        successor = _pair(data[SUCCESSOR_CERTIFICATE], data[SUCCESSOR_KEY])
        others.remove(successor.certificate)
    return Serving(
        ca=_pair(pem(issuing), data[CA_KEY]),
        successor=successor,
        retired=tuple(others),
        leaf=_pair(data[LEAF_CERTIFICATE], data[LEAF_KEY]),
    )


def _pair(certificate: bytes, key: bytes) -> KeyPair:
    pair = KeyPair(x509.load_pem_x509_certificate(certificate), _key(key))
    if pair.certificate.public_key() != pair.key.public_key():
        raise ValueError("not the certificate's key")
    return pair


def _key(data: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(data, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key of ours")  # noqa: TRY004 - a Secret's content, not a type error
    return key


def _key_pem(pair: KeyPair) -> bytes:
    return pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
