from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.kds import CAName, CollateralName, CRLName, VCEKName, size_limit
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.tcb import TCBVersion
from nodeproof_operator.endorsements.errors import (
    AnswerTooLarge,
    CAFileUnusable,
    NotOffered,
    Throttled,
    Unavailable,
)
from nodeproof_operator.endorsements.kds import KDSClient, retry_after
from unit.agent.agent_standins import Authority, hang_up, overwrite
from unit.endorsements.kds_standins import (
    MILAN_CHAIN,
    MILAN_CRL,
    TCB,
    VCEK_BYTES,
    Flood,
    KeyService,
    Proxy,
    answer,
    chip,
    listening,
)

HW_ID = bytes(range(64))
LIMIT_AND_BUFFERS = 8 * 2**20
"""Of a gigabyte; what the kernel buffers on both sides is a few megabytes at most."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("the key service's CA")


@pytest.fixture
def ca_file(tmp_path: Path, authority: Authority) -> Path:
    path = tmp_path / "ca.crt"
    path.write_bytes(authority.pem)
    return path


@pytest.fixture
async def service(authority: Authority, tmp_path: Path) -> AsyncIterator[KeyService]:
    serving = KeyService()
    await serving.start(authority.server_context(tmp_path))
    yield serving
    await serving.stop()


@pytest.fixture
async def client(service: KeyService, ca_file: Path) -> AsyncIterator[KDSClient]:
    async with KDSClient(service.url, ca_file=ca_file) as opened:
        yield opened


async def ask_once(
    url: str,
    *,
    ca_file: Path | None,
    proxy: str | None = None,
    request_seconds: float = 20.0,
) -> bytes:
    async with KDSClient(
        url, ca_file=ca_file, proxy=proxy, request_seconds=request_seconds
    ) as client:
        return await client.get(chip(1))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (
            VCEKName(Product.MILAN, HW_ID, TCB),
            f"/vcek/v1/Milan/{HW_ID.hex()}?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219",
        ),
        (
            VCEKName(Product.TURIN, HW_ID[:8], TCBVersion(1, 2, 3, 4, 5)),
            "/vcek/v1/Turin/0001020304050607?fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=05",
        ),
        (CAName(Product.GENOA, Role.ASK), "/vcek/v1/Genoa/cert_chain"),
        (CRLName(Product.GENOA, Role.ASVK), "/vlek/v1/Genoa/crl"),
    ],
)
async def test_asks_for_the_exact_url(
    client: KDSClient, service: KeyService, name: CollateralName, path: str
) -> None:
    assert await client.get(name) == VCEK_BYTES
    assert service.asked == [path]


async def test_a_mirror_may_live_below_a_path(service: KeyService, ca_file: Path) -> None:
    await ask_once(service.url + "/amd%7E1/", ca_file=ca_file)
    assert service.asked[0].startswith("/amd%7E1/vcek/v1/Milan/")


async def test_a_404_is_not_offered(client: KDSClient, service: KeyService) -> None:
    service.respond = answer(b"no such chip", status=404)
    with pytest.raises(NotOffered):
        await client.get(chip(1))


async def test_a_429_says_when_to_come_again(client: KDSClient, service: KeyService) -> None:
    service.respond = answer(b"", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(Throttled) as caught:
        await client.get(chip(1))
    assert caught.value.retry_after_seconds == 3600


async def test_a_429_may_say_nothing_more(client: KDSClient, service: KeyService) -> None:
    service.respond = answer(b"", status=429)
    with pytest.raises(Throttled) as caught:
        await client.get(chip(1))
    assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize("status", [201, 204, 301, 400, 403, 500, 502, 503])
async def test_any_other_status_is_unavailable(
    client: KDSClient, service: KeyService, status: int
) -> None:
    service.respond = answer(b"", status=status, headers={"Retry-After": "7"})
    with pytest.raises(Unavailable, match=f"observed status {status}") as caught:
        await client.get(chip(1))
    assert caught.value.retry_after_seconds == 7


async def test_a_redirect_to_another_host_is_not_followed(
    client: KDSClient, service: KeyService, authority: Authority, tmp_path: Path
) -> None:
    other = KeyService()
    await other.start(authority.server_context(tmp_path))
    service.respond = answer(b"", status=302, headers={"Location": other.url + "/vcek"})
    with pytest.raises(Unavailable, match="status 302"):
        await client.get(chip(1))
    await other.stop()
    assert other.asked == []


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("name", [chip(1), MILAN_CHAIN, MILAN_CRL])
async def test_a_gigabyte_is_not_read(
    client: KDSClient, service: KeyService, name: CollateralName, *, announced: bool
) -> None:
    service.respond = flood = Flood(announced=announced)
    with pytest.raises(AnswerTooLarge):
        await client.get(name)
    async with asyncio.timeout(20):
        await flood.over.wait()
    assert flood.sent < LIMIT_AND_BUFFERS


@pytest.mark.parametrize("name", [chip(1), MILAN_CHAIN, MILAN_CRL])
async def test_an_answer_as_large_as_allowed_is_taken(
    client: KDSClient, service: KeyService, name: CollateralName
) -> None:
    service.respond = answer(bytes(size_limit(name)))
    assert len(await client.get(name)) == size_limit(name)
    service.respond = answer(bytes(size_limit(name) + 1))
    with pytest.raises(AnswerTooLarge):
        await client.get(name)


async def test_a_compressed_answer_is_not_unpacked(client: KDSClient, service: KeyService) -> None:
    bomb = gzip.compress(bytes(2**20))
    service.respond = answer(bomb, headers={"Content-Encoding": "gzip"})
    assert await client.get(chip(1)) == bomb


async def test_a_service_that_hangs_is_unavailable(service: KeyService, ca_file: Path) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    service.respond = never
    with pytest.raises(Unavailable, match="observed TimeoutError"):
        await ask_once(service.url, ca_file=ca_file, request_seconds=0.2)


async def test_a_service_that_hangs_within_its_answer_is_unavailable(
    service: KeyService, ca_file: Path
) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.01)

    service.respond = drip
    with pytest.raises(Unavailable, match="observed TimeoutError"):
        await ask_once(service.url, ca_file=ca_file, request_seconds=0.2)


async def test_a_service_that_never_greets_is_unavailable(ca_file: Path) -> None:
    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(mute) as port:
        with pytest.raises(Unavailable, match="observed TimeoutError"):
            await ask_once(f"https://127.0.0.1:{port}", ca_file=ca_file, request_seconds=0.2)


async def test_a_lost_answer_is_unavailable(client: KDSClient, service: KeyService) -> None:
    service.respond = hang_up
    with pytest.raises(Unavailable):
        await client.get(chip(1))


async def test_an_answer_cut_short_is_unavailable(client: KDSClient, service: KeyService) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"half")
        return await hang_up(request)

    service.respond = cut
    with pytest.raises(Unavailable):
        await client.get(chip(1))


async def test_a_stopped_service_is_unavailable(client: KDSClient, service: KeyService) -> None:
    await service.stop()
    with pytest.raises(Unavailable, match="Connect call failed"):
        await client.get(chip(1))


@pytest.mark.parametrize("headers", [b"x" * 100_000, b"Content-Length: -1", b"\xff\xfe: \x00"])
async def test_headers_without_sense_are_unavailable(
    authority: Authority, ca_file: Path, tmp_path: Path, headers: bytes
) -> None:
    async def senseless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\nbody")

    async with listening(senseless, authority.server_context(tmp_path)) as port:
        with pytest.raises(Unavailable):
            await ask_once(f"https://127.0.0.1:{port}", ca_file=ca_file)


async def test_a_server_of_another_ca_is_refused(
    client: KDSClient, service: KeyService, ca_file: Path
) -> None:
    overwrite(ca_file, Authority("another CA").pem)
    with pytest.raises(Unavailable, match="observed unable to get local issuer"):
        await client.get(chip(1))
    assert service.asked == []


async def test_a_certificate_for_another_name_is_refused(
    service: KeyService, ca_file: Path
) -> None:
    with pytest.raises(Unavailable, match="not shown to be the key service"):
        await ask_once(service.url.replace("127.0.0.1", "localhost"), ca_file=ca_file)
    assert service.asked == []


async def test_without_a_ca_file_the_systems_cas_count(service: KeyService) -> None:
    with pytest.raises(Unavailable, match="not shown to be the key service"):
        await ask_once(service.url, ca_file=None)
    assert service.asked == []


async def test_a_ca_file_replaces_the_systems_cas(client: KDSClient) -> None:
    trusted = client._recognised_by().get_ca_certs()
    assert [each["subject"] for each in trusted] == [((("commonName", "the key service's CA"),),)]


async def test_a_ca_that_was_rotated_on_disk_is_picked_up(
    client: KDSClient, service: KeyService, ca_file: Path, tmp_path: Path
) -> None:
    other = Authority("the next CA")
    await service.stop()
    await service.start(other.server_context(tmp_path))
    overwrite(ca_file, other.pem)
    assert await client.get(chip(1)) == VCEK_BYTES


@pytest.mark.parametrize("content", [b"", b"not PEM", b"\xff", b" " * (1024 * 1024 + 1)])
async def test_a_ca_file_without_certificates_trusts_nobody(
    client: KDSClient, ca_file: Path, content: bytes
) -> None:
    overwrite(ca_file, content)
    with pytest.raises(CAFileUnusable):
        await client.get(chip(1))


async def test_a_missing_ca_file_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(CAFileUnusable, match="No such file"):
        await KDSClient("https://127.0.0.1", ca_file=tmp_path / "none").__aenter__()


async def test_goes_through_the_proxy_it_is_given(service: KeyService, ca_file: Path) -> None:
    proxy = Proxy()
    async with listening(proxy) as port:
        url = f"http://user:secret@127.0.0.1:{port}"
        assert await ask_once(service.url, ca_file=ca_file, proxy=url) == VCEK_BYTES
    assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{service.port} ")
    assert "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in proxy.requests[0]


async def test_a_proxy_that_refuses_is_told_without_its_password(
    service: KeyService, ca_file: Path
) -> None:
    async with listening(Proxy(status=407)) as port:
        url = f"http://user:secret@127.0.0.1:{port}"
        with pytest.raises(Unavailable, match=r"the proxy refuses .*407") as caught:
            await ask_once(service.url, ca_file=ca_file, proxy=url)
    assert "secret" not in str(caught.value)


async def test_a_proxy_that_is_not_there_is_told_without_its_password(
    service: KeyService, ca_file: Path
) -> None:
    with pytest.raises(Unavailable, match="no answer") as caught:
        await ask_once(service.url, ca_file=ca_file, proxy="http://user:secret@127.0.0.1:1")
    assert "secret" not in str(caught.value)


async def test_proxies_of_the_environment_are_ignored(
    service: KeyService, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert await ask_once(service.url, ca_file=ca_file) == VCEK_BYTES


async def test_a_client_that_was_closed_says_so(service: KeyService, ca_file: Path) -> None:
    async with KDSClient(service.url, ca_file=ca_file) as client:
        pass
    with pytest.raises(Unavailable, match="not open"):
        await client.get(chip(1))


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", "", 7.0),
        ("0", "", 0.0),
        ("9" * 400, "", 999_999_999.0),
        ("-1", "", None),
        ("1.5", "", None),
        ("", "", None),
        ("\u0667", "", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:00 GMT", 60.0),
        ("Wed, 21 Oct 2026 07:26:00 GMT", "Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:00 -0000", None),
    ],
)
def test_reads_retry_after(value: str, date: str, seconds: float | None) -> None:
    assert retry_after(value, date) == seconds


_DATES = st.one_of(
    st.text(), st.from_regex(r"\w{3}, \d\d \w{3} \d{4,12} \d\d:\d\d:\d\d [-+A-Z0-9]*")
)


@given(value=_DATES, date=_DATES)
def test_any_text_is_a_retry_after_or_none(value: str, date: str) -> None:
    seconds = retry_after(value, date)
    assert seconds is None or seconds >= 0
