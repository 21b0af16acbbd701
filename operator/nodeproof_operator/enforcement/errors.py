"""What enforcement raises on its own account, besides the reasons of ``nodeproof.errors``."""

from __future__ import annotations

from nodeproof.errors import ChallengeForged, NodeproofError


class ChallengeKeyUnknown(ChallengeForged):
    """A challenge by a key that this cluster does not, or no longer, hold.

    Not a crime of the node: keys retire after two days, and a Secret may be lost.
    """


class WriterClosed(NodeproofError):
    """Nothing may be written yet: this process has not seen complete lists of its own."""


class LeadershipUncertain(NodeproofError):
    """Less of the Lease is surely left than a request may take."""
