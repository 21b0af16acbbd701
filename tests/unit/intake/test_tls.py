"""The certificate in the Secret, in the ConfigMap, and in real handshakes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from structlog.testing import LogCapture

from fakes.fake_api import FakeApi
from fakes.intake import AGENTS, NAMESPACE, meeting
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.cluster.objects import (
    CA_BUNDLE,
    SERVING_CERTIFICATE,
    config_map,
    secret,
)
from nodeproof_operator.cluster.secrets import SealedStore
from nodeproof_operator.intake.listener import listening
from nodeproof_operator.intake.serving import (
    CA_ANNOUNCED,
    CA_LIFE,
    LEAF_RENEWAL,
    maintain,
    service_names,
)
from nodeproof_operator.intake.tls import (
    CertificateFiles,
    CertificateUnreadable,
    SharedCertificate,
    decode,
    encode,
)

HOST = "nodeproof-operator.nodeproof-system.svc"
NAMES = service_names("nodeproof-operator", "nodeproof-system")
SECRET = secret(NAMESPACE, SERVING_CERTIFICATE)
CONFIG_MAP = config_map(AGENTS, CA_BUNDLE)


class Today:
    """A clock near the real one: OpenSSL asks the machine for the time."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def today() -> Today:
    return Today()


def shared(api: FakeApi, today: Today) -> SharedCertificate:
    return SharedCertificate(SealedStore(api, NAMESPACE), SealedStore(api, AGENTS), NAMES, today)


@pytest.fixture
async def certificate(api: FakeApi, today: Today) -> SharedCertificate:
    made = shared(api, today)
    await made.refresh()
    return made


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[int]:
    async with listening(web.Application(), "127.0.0.1", 0, tls=context) as port:
        yield port


async def shown(port: int, ca: str) -> x509.Certificate:
    """Return the certificate that a client sees which trusts only ``ca``."""
    context = ssl.create_default_context(cadata=ca)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=HOST)
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        await writer.wait_closed()
    return x509.load_der_x509_certificate(der)


def published(api: FakeApi) -> str:
    bundle: str = api.read(CONFIG_MAP)["data"]["ca.crt"]
    return bundle


async def test_an_agent_with_the_published_ca_trusts_the_service(
    api: FakeApi, certificate: SharedCertificate
) -> None:
    async with serving(certificate.context) as port:
        await shown(port, published(api))


async def test_the_secret_holds_ca_and_certificate_with_their_keys(
    api: FakeApi, certificate: SharedCertificate
) -> None:
    assert certificate.ready
    assert set(api.read(SECRET)["data"]) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}


async def test_no_private_key_is_published(api: FakeApi, certificate: SharedCertificate) -> None:
    assert certificate.ready
    assert "PRIVATE" not in str(api.read(CONFIG_MAP))


async def test_two_replicas_starting_at_once_end_with_one_certificate(
    api: FakeApi, today: Today
) -> None:
    one, two = shared(api, today), shared(api, today)
    api.before = meeting("PATCH", 2)
    await asyncio.gather(one.refresh(), two.refresh())
    async with serving(one.context) as first, serving(two.context) as second:
        assert await shown(first, published(api)) == await shown(second, published(api))


async def test_a_renewed_certificate_is_shown_without_a_restart(api: FakeApi, today: Today) -> None:
    today.time -= LEAF_RENEWAL
    certificate = shared(api, today)
    await certificate.refresh()
    async with serving(certificate.context) as port:
        before = await shown(port, published(api))
        today.time += LEAF_RENEWAL
        await certificate.refresh()
        assert await shown(port, published(api)) != before


async def test_nothing_older_than_tls_1_2_is_served(certificate: SharedCertificate) -> None:
    assert certificate.context.minimum_version is ssl.TLSVersion.TLSv1_2


async def test_an_announced_successor_survives_the_secret(today: Today) -> None:
    first = maintain(None, NAMES, today.time)
    announced = maintain(first, NAMES, today.time + CA_LIFE - CA_ANNOUNCED)
    back = decode(encode(announced))
    assert back is not None
    assert back.trusted == announced.trusted
    assert back.successor is not None
    assert back.ca.certificate == announced.ca.certificate
    assert maintain(back, NAMES, today.time + CA_LIFE - CA_ANNOUNCED) is back


async def test_a_bundle_that_was_changed_is_repaired(
    api: FakeApi, certificate: SharedCertificate
) -> None:
    good = published(api)
    api.put(CONFIG_MAP, {"data": {"ca.crt": "another"}})
    await certificate.refresh()
    assert published(api) == good


async def test_a_certificate_stays_while_the_secret_cannot_be_read(
    api: FakeApi, certificate: SharedCertificate
) -> None:
    api.fail_next(Unreachable("no answer", status=0))
    with pytest.raises(Unreachable):
        await certificate.refresh()
    async with serving(certificate.context) as port:
        await shown(port, published(api))


@pytest.mark.parametrize("entry", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
async def test_a_secret_with_something_else_is_left_alone(
    api: FakeApi, today: Today, certificate: SharedCertificate, entry: str
) -> None:
    assert certificate.ready
    data = api.read(SECRET)["data"] | {entry: "bm9uc2Vuc2U="}
    api.put(SECRET, {"data": data})
    with pytest.raises(CertificateUnreadable) as caught:
        await shared(api, today).refresh()
    assert caught.value.__cause__ is None
    assert api.read(SECRET)["data"] == data


@pytest.mark.parametrize(
    "replacement",
    [
        {"tls.crt": "ca.crt", "tls.key": "ca.key"},
        {"ca.key": "tls.key"},
    ],
    ids=["a certificate that names nobody", "a key of another certificate"],
)
async def test_a_secret_whose_parts_do_not_fit_is_left_alone(
    api: FakeApi, today: Today, certificate: SharedCertificate, replacement: dict[str, str]
) -> None:
    assert certificate.ready
    stored = api.read(SECRET)["data"]
    data = stored | {entry: stored[source] for entry, source in replacement.items()}
    api.put(SECRET, {"data": data})
    with pytest.raises(CertificateUnreadable):
        await shared(api, today).refresh()
    assert api.read(SECRET)["data"] == data


async def test_no_log_line_shows_a_private_key(
    certificate: SharedCertificate, log: LogCapture
) -> None:
    assert certificate.ready
    assert log.entries
    assert "PRIVATE" not in repr(log.entries) + repr(vars(certificate))


def write_files(directory: Path, age: timedelta = timedelta()) -> tuple[Path, Path, str]:
    entries = encode(maintain(None, NAMES, datetime.now(UTC) - age))
    paths = directory / "tls.crt", directory / "tls.key"
    for path in paths:
        path.write_bytes(entries[path.name])
    return (*paths, entries["ca.crt"].decode())


async def test_files_are_served_and_followed(tmp_path: Path) -> None:
    certificate, key, ca = write_files(tmp_path)
    files = CertificateFiles(certificate, key)
    await files.refresh()
    async with serving(files.context) as port:
        first = await shown(port, ca)
        _, _, new_ca = write_files(tmp_path)
        await files.refresh()
        assert await shown(port, new_ca) != first


async def test_files_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    certificate, key, ca = write_files(tmp_path)
    files = CertificateFiles(certificate, key)
    await files.refresh()
    certificate.write_bytes(encode(maintain(None, NAMES, datetime.now(UTC)))["tls.crt"])
    with pytest.raises(CertificateUnreadable):
        await files.refresh()
    async with serving(files.context) as port:
        await shown(port, ca)


async def test_files_that_are_missing(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path / "tls.crt", tmp_path / "tls.key")
    with pytest.raises(CertificateUnreadable):
        await files.refresh()
    assert not files.ready
