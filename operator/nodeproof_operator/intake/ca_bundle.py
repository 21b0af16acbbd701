"""The CAs by which agents recognise the evidence service: one ConfigMap in their namespace.

Replicas that are updated one after the other, or see a rotated file one after the other, do not
agree on the CA for a while, and agents read their copy of the ConfigMap a minute late. So nobody
takes another's CA away at once: what is not ours is kept for an hour from when we first saw it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from nodeproof_operator.cluster.objects import CA_BUNDLE
from nodeproof_operator.cluster.secrets import SealedStore

CA_CERTIFICATES = "ca.crt"

KEPT = timedelta(hours=1)
"""How long a CA that is not ours stays published: longer than any rollout of ours."""

SETTLED = timedelta(minutes=5)
"""From publishing a CA until every agent trusts it; kubelets hand it out in two minutes."""

MOST_KEPT = 8
"""CAs of others that are kept: a bundle that is rewritten all the time does not grow for ever."""


class CABundle:
    """Publishes our CAs beside those that were published before.

    Args:
        agents: The agents' namespace.
        clock: The time, with its zone.
    """

    def __init__(self, agents: SealedStore, clock: Callable[[], datetime]) -> None:
        self._agents = agents
        self._clock = clock
        self._strangers: dict[x509.Certificate, datetime] = {}
        self._published: dict[x509.Certificate, datetime] = {}

    async def publish(self, own: Sequence[x509.Certificate]) -> None:
        """Make the ConfigMap hold our CAs, and others' for their time; nothing is sent in vain.

        Raises:
            ApiError: It cannot be read or written.
        """
        await self._agents.revise(CA_BUNDLE, lambda data: self._revised(data, own))
        now = self._clock()
        self._published = {each: self._published.get(each, now) for each in own}

    def settled(self, own: Sequence[x509.Certificate]) -> bool:
        """Tell whether agents surely trust these CAs: we published them long enough ago."""
        now = self._clock()
        return all(now - self._published.get(each, now) >= SETTLED for each in own)

    def _revised(
        self, data: Mapping[str, str], own: Sequence[x509.Certificate]
    ) -> Mapping[str, str]:
        now = self._clock()
        found = _certificates(data.get(CA_CERTIFICATES, ""), now)
        strangers = [each for each in found if each not in own]
        self._strangers = {each: self._strangers.get(each, now) for each in strangers}
        kept = [each for each in strangers if now - self._strangers[each] < KEPT]
        return {CA_CERTIFICATES: pem(*own, *kept[:MOST_KEPT]).decode()}


def pem(*certificates: x509.Certificate) -> bytes:
    """Return certificates as PEM, in their order."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def _certificates(text: str, now: datetime) -> list[x509.Certificate]:
    """Return what is published and has not ended; what cannot be read counts as nothing."""
    try:
        found = x509.load_pem_x509_certificates(text.encode())
        return [each for each in found if each.not_valid_after_utc > now]
    except ValueError:
        return []
