"""What goes wrong on a developer's machine, said so that it can be put right."""

from __future__ import annotations

from typing import Any

from nodeproof.errors import NodeproofError


class BuildFailed(NodeproofError):
    """A program of ours cannot be built here."""


class GoMissing(BuildFailed):
    """There is no Go to build with, and none was to be fetched."""


class ImageToolMissing(BuildFailed):
    """Images cannot be built on this machine; the message says what is missing."""


class HelmFailed(NodeproofError):
    """Helm did not do what was asked; the message holds what it said."""


class PeerRefused(NodeproofError):
    """Another verifier does not accept what it was to be timed with."""


class ComponentFailed(NodeproofError):
    """A process ended, or never became ready; the message names its log and quotes its end."""


class PortTaken(ComponentFailed):
    """A process ended because another one had taken its port first."""


class NotReadyInTime(NodeproofError):
    """Something that was waited for did not come true."""


class NotPossible(NodeproofError):
    """This cluster cannot do what was asked, for a reason that waiting will not change."""


class ApiUnreachable(NodeproofError):
    """The API server did not answer."""


class ApiRefused(NodeproofError):
    """The API server answered with an error.

    Attributes:
        status: The HTTP status.
        body: The answer; for most errors a ``metav1.Status``.
    """

    def __init__(self, status: int, body: Any) -> None:
        message = body.get("message", "") if isinstance(body, dict) else str(body)
        super().__init__(f"the API server answered {status}: {message}")
        self.status = status
        self.body = body
