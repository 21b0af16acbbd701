"""A real HTTPS server on loopback, for clients that must not know that they are tested."""

from __future__ import annotations

import ssl

from aiohttp import web


class HTTPSServer:
    """Serves every path by ``serve``, which its kinds define."""

    def __init__(self) -> None:
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def start(self, context: ssl.SSLContext) -> None:
        """Listen, at the same port as before if there was one."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError
