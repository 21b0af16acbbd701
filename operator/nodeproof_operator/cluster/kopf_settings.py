"""kopf's settings: watch four kinds, write nothing, ask for nothing else."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from typing import Any

import kopf

from nodeproof.policy import GROUP
from nodeproof_operator.cluster.gateway import LIST_TIMEOUT_SECONDS, PAGE_SIZE

ERROR_BACKOFFS_SECONDS = (1, 1, 2, 3, 5, 8, 13, 21, *(30,) * 8)
"""About five minutes of an API server in trouble, before kopf gives up and is started again."""


class NothingKept(kopf.DiffBaseStorage):
    """Keeps no last-handled state: event handlers need none, and computing it copies each Node."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> Any:
        """Return an empty essence."""
        del body, extra_fields
        return {}

    def fetch(self, *, body: kopf.Body) -> Any:
        """Return no earlier essence."""
        del body

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        """Leave the object alone."""


def settings() -> kopf.OperatorSettings:
    """Return fresh settings; kopf changes what it is given."""
    made = kopf.OperatorSettings()
    made.scanning.disabled = True
    made.posting.enabled = False
    made.peering.standalone = True
    made.watching.chunk_size = PAGE_SIZE
    made.watching.connect_timeout = 5.0
    made.networking.request_timeout = LIST_TIMEOUT_SECONDS
    made.networking.connect_timeout = 5.0
    made.networking.error_backoffs = ERROR_BACKOFFS_SECONDS
    made.queueing.idle_timeout = 0.5
    # Its runner watches over its end; kopf itself would kill the whole process.
    made.process.ultimate_exiting_timeout = None
    made.persistence.diffbase_storage = NothingKept()
    # kopf takes its own finalizer off any object that bears it: no kubelet may know the name.
    made.persistence.finalizer = f"{GROUP}/{uuid.uuid4()}"
    return made


def quieten() -> None:
    """Keep kopf's log to what is worth a look: it tells of each event at level INFO."""
    for name in ("kopf", "kopf.objects"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns at each start that signals are not its own affair.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
