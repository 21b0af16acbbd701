"""The NodeAttestations: kept for the next installation, or deleted on request."""

from __future__ import annotations

from nodeproof_operator.cluster.errors import NotFound
from nodeproof_operator.cluster.gateway import Gateway, list_all
from nodeproof_operator.cluster.objects import NODE_ATTESTATIONS, node_attestation


async def count_results(gateway: Gateway) -> int:
    """Return how many NodeAttestations there are; none where the kind is not served.

    Raises:
        ApiError: They cannot be listed.
    """
    return len(await _names_and_uids(gateway))


async def delete_results(gateway: Gateway) -> int:
    """Delete all NodeAttestations; return how many.

    Raises:
        ApiError: One could not be deleted, or they cannot be listed.
    """
    found = await _names_and_uids(gateway)
    for name, uid in found:
        try:
            await gateway.call("DELETE", node_attestation(name), {"preconditions": {"uid": uid}})
        except NotFound:
            continue  # the garbage collector was faster
    return len(found)


async def _names_and_uids(gateway: Gateway) -> list[tuple[str, str]]:
    try:
        listing = await list_all(gateway, NODE_ATTESTATIONS)
    except NotFound:
        return []
    return [(each["metadata"]["name"], each["metadata"]["uid"]) for each in listing.items]
