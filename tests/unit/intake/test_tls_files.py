"""A certificate that somebody else keeps in files, in real handshakes with real agents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509

from cases.handshake import serving, shown
from fakes.fake_api import FakeApi
from fakes.intake import AGENTS
from nodeproof.protocol import CHALLENGES_PATH, ChallengeAnswer, encode
from nodeproof_agent.client import OperatorClient
from nodeproof_agent.errors import OperatorUntrusted
from nodeproof_operator.cluster.objects import CA_BUNDLE, config_map
from nodeproof_operator.cluster.secrets import SealedStore
from nodeproof_operator.intake.ca_bundle import KEPT, SETTLED, CABundle, pem
from nodeproof_operator.intake.serving import KeyPair, make_ca, make_leaf, service_names
from nodeproof_operator.intake.tls import CertificateUnreadable, _key_pem
from nodeproof_operator.intake.tls_files import CertificateFiles, TLSFiles

NAMES = service_names("nodeproof-operator", "nodeproof-system", ["127.0.0.1"])
CONFIG_MAP = config_map(AGENTS, CA_BUNDLE)


class Issuer:
    """What keeps the files: a CA that changes, certificates that are renewed."""

    def __init__(self, directory: Path, now: datetime) -> None:
        self.now = now
        self.files = TLSFiles(directory / "tls.crt", directory / "tls.key", directory / "ca.crt")
        self.ca = make_ca(now)
        self.renew()

    def renew(self) -> None:
        self.write(make_leaf(self.ca, NAMES, self.now))

    def rotate(self) -> None:
        self.ca = make_ca(self.now)
        self.renew()

    def write(self, leaf: KeyPair) -> None:
        assert self.files.ca is not None
        self.files.certificate.write_bytes(pem(leaf.certificate))
        self.files.key.write_bytes(_key_pem(leaf))
        self.files.ca.write_bytes(self.authority.encode())

    @property
    def authority(self) -> str:
        return pem(self.ca.certificate).decode()


class Clock:
    """Near the machine's time, which OpenSSL asks."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) - timedelta(hours=3)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(tmp_path: Path, clock: Clock) -> Issuer:
    return Issuer(tmp_path, clock.now)


def following(api: FakeApi, files: TLSFiles, clock: Clock) -> CertificateFiles:
    return CertificateFiles(files, CABundle(SealedStore(api, AGENTS), clock), clock)


@pytest.fixture
async def certificate(api: FakeApi, issuer: Issuer, clock: Clock) -> CertificateFiles:
    made = following(api, issuer.files, clock)
    await made.refresh()
    return made


def published(api: FakeApi) -> str:
    data: dict[str, str] = api.read(CONFIG_MAP).get("data", {})
    return data.get("ca.crt", "")


async def test_the_ca_in_the_file_is_published(
    api: FakeApi, issuer: Issuer, certificate: CertificateFiles
) -> None:
    assert certificate.ready
    assert published(api) == issuer.authority


async def test_a_renewed_certificate_is_shown_at_the_next_look(
    certificate: CertificateFiles, issuer: Issuer, clock: Clock
) -> None:
    clock.now += SETTLED
    async with serving(certificate.context) as port:
        first = await shown(port, issuer.authority)
        issuer.renew()
        await certificate.refresh()
        assert await shown(port, issuer.authority) != first


async def test_a_new_ca_is_published_before_its_certificate_is_shown(
    api: FakeApi, certificate: CertificateFiles, issuer: Issuer, clock: Clock
) -> None:
    old = issuer.authority
    issuer.rotate()
    async with serving(certificate.context) as port:
        first = await shown(port, old)
        await certificate.refresh()
        assert published(api) == issuer.authority + old
        assert await shown(port, old) == first
        clock.now += SETTLED
        await certificate.refresh()
        assert await shown(port, issuer.authority) != first


async def test_a_certificate_about_to_end_is_not_kept_for_a_ca_to_settle(
    api: FakeApi, tmp_path: Path, clock: Clock
) -> None:
    issuer = Issuer(tmp_path, datetime.now(UTC))
    made = following(api, issuer.files, clock)
    await made.refresh()
    async with serving(made.context) as port:
        first = await shown(port, issuer.authority)
        issuer.rotate()
        clock.now = first.not_valid_after_utc - SETTLED
        await made.refresh()
        assert await shown(port, issuer.authority) != first


async def test_a_replica_that_starts_shows_what_there_is(
    api: FakeApi, certificate: CertificateFiles, issuer: Issuer, clock: Clock
) -> None:
    assert certificate.ready
    issuer.rotate()
    fresh = following(api, issuer.files, clock)
    await fresh.refresh()
    async with serving(fresh.context) as port:
        await shown(port, issuer.authority)


async def test_a_ca_that_is_not_the_certificates_changes_nothing(
    api: FakeApi, certificate: CertificateFiles, issuer: Issuer, clock: Clock
) -> None:
    assert certificate.ready
    assert issuer.files.ca is not None
    issuer.files.ca.write_bytes(pem(make_ca(clock.now).certificate))
    with pytest.raises(CertificateUnreadable, match="not by a CA in the CA file"):
        await certificate.refresh()
    assert published(api) == issuer.authority


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
async def test_files_that_cannot_be_used_change_nothing(
    certificate: CertificateFiles, issuer: Issuer, name: str, content: bytes | None
) -> None:
    authority, path = issuer.authority, issuer.files.certificate.with_name(name)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(CertificateUnreadable):
        await certificate.refresh()
    async with serving(certificate.context) as port:
        await shown(port, authority)


async def test_a_key_of_another_certificate_changes_nothing(
    certificate: CertificateFiles, issuer: Issuer
) -> None:
    authority, key = issuer.authority, issuer.files.key.read_bytes()
    issuer.renew()
    issuer.files.key.write_bytes(key)
    with pytest.raises(CertificateUnreadable):
        await certificate.refresh()
    async with serving(certificate.context) as port:
        await shown(port, authority)


async def test_without_a_ca_file_nothing_is_published(
    api: FakeApi, issuer: Issuer, clock: Clock
) -> None:
    files = TLSFiles(issuer.files.certificate, issuer.files.key)
    made = following(api, files, clock)
    await made.refresh()
    assert published(api) == ""
    async with serving(made.context) as port:
        await shown(port, issuer.authority)


async def test_an_intermediate_in_the_chain_leads_to_the_ca(
    api: FakeApi, issuer: Issuer, clock: Clock
) -> None:
    leaf = x509.load_pem_x509_certificate(issuer.files.certificate.read_bytes())
    issuer.files.certificate.write_bytes(pem(leaf, issuer.ca.certificate))
    made = following(api, issuer.files, clock)
    await made.refresh()
    assert made.ready


@pytest.fixture
async def port(certificate: CertificateFiles) -> AsyncIterator[int]:
    async def challenge(_: web.Request) -> web.Response:
        return web.Response(body=encode(ChallengeAnswer(challenge=b"challenge")))

    application = web.Application()
    application.router.add_post(CHALLENGES_PATH, challenge)
    async with serving(certificate.context, application) as bound:
        yield bound


class AgentProcess:
    """A real agent's client; its kubelet brings the ConfigMap when the test says so."""

    def __init__(self, api: FakeApi, port: int, directory: Path) -> None:
        self._api = api
        self._file = directory / "agents-ca.crt"
        self._client = OperatorClient(f"https://127.0.0.1:{port}", self._file)
        self.sync()

    def sync(self) -> None:
        self._file.write_text(published(self._api))

    async def ask(self) -> bytes:
        async with self._client.exchange("token") as exchange:
            return await exchange.challenge()


async def test_an_agent_is_answered_at_every_moment_of_a_rotation_without_any_restart(
    api: FakeApi,
    certificate: CertificateFiles,
    issuer: Issuer,
    clock: Clock,
    port: int,
    tmp_path: Path,
) -> None:
    agent = AgentProcess(api, port, tmp_path)
    clock.now += timedelta(hours=1)
    await agent.ask()
    issuer.rotate()
    # The files have changed, the operator has looked, the kubelet has not.
    await certificate.refresh()
    assert await agent.ask() == b"challenge"
    # The kubelet has, the operator still shows the old certificate.
    agent.sync()
    assert await agent.ask() == b"challenge"
    # The operator shows the new one.
    clock.now += SETTLED
    await certificate.refresh()
    assert await agent.ask() == b"challenge"
    # The old CA is gone.
    clock.now += KEPT
    await certificate.refresh()
    agent.sync()
    assert published(api) == issuer.authority
    assert await agent.ask() == b"challenge"


async def test_an_agent_believes_no_certificate_of_another_ca(
    api: FakeApi,
    certificate: CertificateFiles,
    issuer: Issuer,
    clock: Clock,
    port: int,
    tmp_path: Path,
) -> None:
    """What the test above would not see if agents believed anybody."""
    agent = AgentProcess(api, port, tmp_path)
    issuer.rotate()
    await certificate.refresh()
    clock.now += SETTLED
    await certificate.refresh()
    with pytest.raises(OperatorUntrusted):
        await agent.ask()
