"""Metrics and health on a plain listener of their own, apart from the agents'."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus

from aiohttp import web

Problems = Callable[[], Collection[str]]
"""Says what is wrong now, a short phrase each; nothing if all is well."""

Exposition = Callable[[], tuple[bytes, str]]
"""Renders the metrics: the body and its content type."""


def probe_application(
    exposition: Exposition, *, unhealthy: Problems, unready: Problems
) -> web.Application:
    """Return the application with ``/metrics``, ``/healthz`` and ``/readyz``."""

    async def metrics(_: web.Request) -> web.Response:
        body, content_type = exposition()
        return web.Response(body=body, headers={"Content-Type": content_type})

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/healthz", _probe(unhealthy))
    application.router.add_get("/readyz", _probe(unready))
    return application


def _probe(problems: Problems) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def probe(_: web.Request) -> web.Response:
        found = problems()
        if found:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text="\n".join(found) + "\n")
        return web.Response(text="ok\n")

    return probe
