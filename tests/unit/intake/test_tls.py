"""The certificate in the Secret, in the ConfigMap, and in real handshakes."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

import pytest
from structlog.testing import LogCapture

from cases.handshake import serving, shown
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
from nodeproof_operator.intake.ca_bundle import CABundle
from nodeproof_operator.intake.serving import (
    CA_ANNOUNCED,
    CA_LIFE,
    LEAF_RENEWAL,
    maintain,
    service_names,
)
from nodeproof_operator.intake.tls import (
    CertificateUnreadable,
    SharedCertificate,
    decode,
    encode,
)

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
    return SharedCertificate(
        SealedStore(api, NAMESPACE), CABundle(SealedStore(api, AGENTS), today), NAMES, today
    )


@pytest.fixture
async def certificate(api: FakeApi, today: Today) -> SharedCertificate:
    made = shared(api, today)
    await made.refresh()
    return made


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
