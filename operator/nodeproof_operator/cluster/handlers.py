"""kopf's event handlers: they hand on what happened and return None, so that kopf writes nothing.

Any other kind of handler, and any value returned, makes kopf annotate, patch or hold objects.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf

from nodeproof_operator.cluster.connection import CredentialsSource
from nodeproof_operator.cluster.gateway import Json
from nodeproof_operator.cluster.kinds import Kind
from nodeproof_operator.cluster.kopf_session import open_session

Deliver = Callable[[Kind, str | None, Json], None]
"""Takes the kind, the event's type (None for what an initial list holds) and the raw object."""

LOGIN_LIFE = timedelta(minutes=10)
"""When kopf asks for credentials again; a projected token is replaced long before it expires."""


def register(registry: kopf.OperatorRegistry, login: CredentialsSource, deliver: Deliver) -> None:
    """Register the login and one event handler for each watched kind."""

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.AiohttpSession:
        return open_session(await login(), datetime.now(UTC) + LOGIN_LIFE)

    for kind in Kind:
        _register_kind(registry, kind, deliver)


def _register_kind(registry: kopf.OperatorRegistry, kind: Kind, deliver: Deliver) -> None:
    @kopf.on.event(kind.group, kind.version, kind.value, registry=registry, id=kind.value)
    async def on_event(event: kopf.RawEvent, **_: Any) -> None:
        deliver(kind, event["type"], dict(event["object"]))
