"""TLS of the evidence service: a context that takes new certificates while it serves.

Either the operator makes CA and certificate itself and shares them between replicas in a Secret, or
somebody else (cert-manager, say) keeps two files up to date.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

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
from nodeproof_operator.cluster.objects import CA_BUNDLE, SERVING_CERTIFICATE
from nodeproof_operator.cluster.secrets import SealedStore, until_first
from nodeproof_operator.intake.serving import KeyPair, Names, Serving, maintain, names_of

CA_CERTIFICATES = "ca.crt"
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


def take(context: ssl.SSLContext, certificates: bytes, key: bytes) -> None:
    """Let a context, also one that is serving, show this certificate from now on.

    Raises:
        CertificateUnreadable: They are no PEM certificate and its key; the context is as before.
    """
    try:
        _load(server_context(), certificates, key)
        _load(context, certificates, key)
    except (ssl.SSLError, OSError) as error:
        raise CertificateUnreadable("not a certificate and its key", observed=str(error)) from None


def _load(context: ssl.SSLContext, certificates: bytes, key: bytes) -> None:
    # The library reads files only: this one lives in memory, so no key is left on a disk.
    descriptor = os.memfd_create("serving-certificate", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key + b"\n" + certificates)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")


class SharedCertificate:
    """CA and certificate that the replicas keep in a Secret.

    Args:
        store: The operator's namespace, with the Secret.
        agents: The agents' namespace, where the CA is published.
        names: What the certificate is to name.
        clock: The time, with its zone.
    """

    def __init__(
        self,
        store: SealedStore,
        agents: SealedStore,
        names: Names,
        clock: Callable[[], datetime],
    ) -> None:
        self.context = server_context()
        self._store = store
        self._agents = agents
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
        bundle = _pem(*due.trusted).decode()
        await self._agents.publish(CA_BUNDLE, {CA_CERTIFICATES: bundle})
        self._show(due.leaf)

    def _show(self, leaf: KeyPair) -> None:
        if leaf.certificate != self._shown:
            take(self.context, _pem(leaf.certificate), _key_pem(leaf))
            self._shown = leaf.certificate
            _log.info("serving certificate in use", expires=leaf.certificate.not_valid_after_utc)


class CertificateFiles:
    """A certificate that somebody else keeps up to date in two PEM files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.context = server_context()
        self._certificate = certificate
        self._key = key
        self._shown: tuple[bytes, bytes] | None = None

    @property
    def ready(self) -> bool:
        """Whether there is a certificate to show."""
        return self._shown is not None

    async def refresh(self) -> None:
        """Take the files' content if it has changed.

        Raises:
            CertificateUnreadable: The files hold no certificate and its key; the old one stays.
        """
        try:
            content = (self._certificate.read_bytes(), self._key.read_bytes())
        except OSError as error:
            raise CertificateUnreadable("a TLS file cannot be read", observed=str(error)) from error
        if content != self._shown:
            take(self.context, *content)
            self._shown = content
            _log.info("serving certificate in use", path=str(self._certificate))


def encode(serving: Serving) -> Mapping[str, bytes]:
    """Return the Secret's entries."""
    entries = {
        CA_CERTIFICATES: _pem(*serving.trusted),
        CA_KEY: _key_pem(serving.ca),
        LEAF_CERTIFICATE: _pem(serving.leaf.certificate),
        LEAF_KEY: _key_pem(serving.leaf),
    }
    if serving.successor:
        entries[SUCCESSOR_CERTIFICATE] = _pem(serving.successor.certificate)
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
        ca=_pair(_pem(issuing), data[CA_KEY]),
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


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def _key_pem(pair: KeyPair) -> bytes:
    return pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
