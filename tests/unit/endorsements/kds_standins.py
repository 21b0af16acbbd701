"""Stand-ins for AMD's key service: over real HTTPS, and one that answers as a test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from fakes.https_server import HTTPSServer
from nodeproof.sevsnp.certificates import Role
from nodeproof.sevsnp.kds import CAName, CollateralName, CRLName, VCEKName
from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.tcb import TCBVersion

Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

TCB = TCBVersion(fmc=None, bootloader=4, tee=0, snp=24, microcode=219)
MILAN_CHAIN = CAName(Product.MILAN, Role.ASK)
MILAN_CRL = CRLName(Product.MILAN, Role.ASK)
VCEK_BYTES = b"what AMD signed"


def chip(number: int) -> VCEKName:
    """Return the name of one of many VCEKs."""
    return VCEKName(Product.MILAN, number.to_bytes(64, "big"), TCB)


class KeyService(HTTPSServer):
    """An HTTPS server that hands out the same to everybody, unless it is told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.respond: Responder = answer()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        return await self.respond(request)


def answer(
    body: bytes = VCEK_BYTES, *, status: int = 200, headers: dict[str, str] | None = None
) -> Responder:
    """Answer with these bytes."""

    async def respond(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    return respond


class Flood:
    """Answers with a gigabyte and tells how much of it could be sent."""

    SIZE = 2**30

    def __init__(self, *, announced: bool) -> None:
        self.sent = 0
        self.over = asyncio.Event()
        self._announced = announced

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if self._announced:
            response.content_length = self.SIZE
        try:
            await response.prepare(request)
            while self.sent < self.SIZE:
                await response.write(bytes(64 * 1024))
                self.sent += 64 * 1024
                # Or a connection that is gone would never be noticed.
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        finally:
            self.over.set()
        return response


class ScriptedKDS:
    """Implements ``KDS`` without a network.

    Attributes:
        asked: What was asked for, and at which second.
        respond: Says what comes for a name; raises what the client would.
        open: While a test has cleared it, requests hang.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.asked: list[tuple[float, CollateralName]] = []
        self.respond: Callable[[CollateralName], bytes] = lambda _: VCEK_BYTES
        self.open = asyncio.Event()
        self.open.set()
        self._clock = clock

    @property
    def names(self) -> list[CollateralName]:
        return [name for _, name in self.asked]

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.asked]

    async def get(self, name: CollateralName) -> bytes:
        self.asked.append((self._clock(), name))
        await self.open.wait()
        return self.respond(name)


@asynccontextmanager
async def listening(serve: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve raw connections on loopback; yields the port, waits at the end until all are over."""
    connections: list[asyncio.Task[None]] = []

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.append(task)
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(begin, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(20):
            await asyncio.gather(*connections)


class Proxy:
    """An HTTP proxy that opens tunnels, or refuses with a status."""

    def __init__(self, status: int = 200) -> None:
        self.requests: list[str] = []
        self._status = status

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(head)
        writer.write(f"HTTP/1.1 {self._status} So\r\n\r\n".encode())
        if self._status == 200:
            host, port = head.split()[1].split(":")
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
