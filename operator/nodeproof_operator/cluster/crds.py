"""The check that our CRDs exist: kopf started before them is deaf for ever, and looks healthy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from nodeproof.errors import NodeproofError
from nodeproof.policy import GROUP
from nodeproof_operator.cluster.errors import ApiError
from nodeproof_operator.cluster.gateway import Gateway, Json
from nodeproof_operator.cluster.kinds import CUSTOM_KINDS, Kind
from nodeproof_operator.cluster.objects import custom_resource_definition

TRIES = 30
PAUSE_SECONDS = 2.0

_logger = structlog.get_logger()


class CrdsMissing(NodeproofError):
    """The CRDs are not served: nothing can be watched."""


async def wait_for_crds(
    gateway: Gateway, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Return once the API server serves all our kinds; wait a minute for them.

    Raises:
        CrdsMissing: They did not come; the message says what to apply.
    """
    missing: dict[Kind, str] = {}
    for attempt in range(TRIES):
        if attempt:
            await sleep(PAUSE_SECONDS)
        missing = await _missing(gateway)
        if not missing:
            return
        if not attempt:
            _logger.warning("waiting for CRDs", missing=_spoken(missing))
    raise CrdsMissing(
        "the API server does not serve nodeproof's kinds: apply crds/",
        expected=", ".join(f"{kind}.{GROUP}" for kind in CUSTOM_KINDS),
        observed=_spoken(missing),
    )


async def _missing(gateway: Gateway) -> dict[Kind, str]:
    troubles = {kind: await _trouble(gateway, kind) for kind in CUSTOM_KINDS}
    return {kind: trouble for kind, trouble in troubles.items() if trouble}


async def _trouble(gateway: Gateway, kind: Kind) -> str:
    """Return why a kind cannot be watched, empty if it can."""
    try:
        crd = await gateway.call("GET", custom_resource_definition(kind.value))
    except ApiError as error:
        return error.reason
    if not _established(crd):
        return "not established"
    served = [each.get("name") for each in crd["spec"]["versions"] if each.get("served")]
    return "" if kind.version in served else f"{kind.version} is not served"


def _established(crd: Json) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(
        each.get("type") == "Established" and each.get("status") == "True" for each in conditions
    )


def _spoken(missing: dict[Kind, str]) -> str:
    return ", ".join(f"{kind}: {trouble}" for kind, trouble in missing.items())
