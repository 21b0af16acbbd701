"""What can go wrong on the agent's side, beside the errors that it shares with the operator.

The tree::

    AgentError
    ├── TokenUnusable        no token, or none that names this agent's Node and Pod
    ├── CABundleUnusable     no certificate to recognise the operator by
    ├── OperatorUnreachable  no connection, or no whole answer in time
    ├── OperatorUntrusted    the TLS handshake failed: most often another CA
    ├── AnswerUnexpected     an answer that is not of the protocol, such as a redirect
    ├── OperatorRefused      a ``Refusal``; its own reason is inside
    └── ProviderFailed       the platform gave no evidence
"""

from __future__ import annotations

from collections.abc import Iterator

from nodeproof.errors import NodeproofError
from nodeproof.protocol import Refusal
from nodeproof.unavailability import Cause

INTERNAL_ERROR = "InternalError"
"""The reason of a round that failed by a fault of ours."""


class AgentError(NodeproofError):
    """Base of the agent's own errors."""


class TokenUnusable(AgentError):
    """A token file that is missing, unreadable, or without the identity of a Pod on a Node."""


class CABundleUnusable(AgentError):
    """A CA file that is missing, unreadable or empty."""


class OperatorUnreachable(AgentError):
    """No connection to the operator, or no whole answer in time; it may have got the request."""


class OperatorUntrusted(AgentError):
    """A server that could not show a certificate for its name under our CA."""


class AnswerUnexpected(AgentError):
    """An answer that is not of the protocol: a redirect, or an error page of something else."""


class ProviderFailed(AgentError):
    """A platform that gave no evidence.

    Attributes:
        cause: Why, in the words that the operator and ``doctor`` use too.
        next_seconds: When the operator that was told wants a platform looked for again that is
            lastingly missing; None until then.
        retry_after_seconds: When to come again, if the operator refused to be told and said so.
    """

    next_seconds: float | None = None
    retry_after_seconds: float | None = None

    def __init__(
        self,
        message: str,
        *,
        cause: Cause = Cause.INTERNAL_ERROR,
        expected: str = "",
        observed: str = "",
    ) -> None:
        super().__init__(message, expected=expected, observed=observed)
        self.cause = cause


class OperatorRefused(AgentError):
    """An answer of 4xx or 5xx with a ``Refusal``.

    Attributes:
        status: The HTTP status.
        refused_for: The operator's reason, any word.
        retry_after_seconds: When to come again, if the operator said so.
    """

    def __init__(self, status: int, refusal: Refusal, retry_after_seconds: float | None) -> None:
        super().__init__(refusal.message, expected=refusal.expected, observed=refusal.observed)
        self.status = status
        self.refused_for = refusal.reason
        self.retry_after_seconds = retry_after_seconds


def _words(kind: type[NodeproofError]) -> Iterator[str]:
    yield kind.reason
    for each in kind.__subclasses__():
        yield from _words(each)


REASONS = frozenset(_words(NodeproofError)) | frozenset(map(str, Cause)) | {INTERNAL_ERROR}
"""Every reason that a metric may carry: a newer operator's unknown words never become labels."""


def reason_of(error: BaseException) -> str:
    """Return why a round failed, one of ``REASONS``: of a platform's failure the cause."""
    if isinstance(error, ProviderFailed):
        return str(error.cause)
    if isinstance(error, OperatorRefused):
        return error.refused_for if error.refused_for in REASONS else error.reason
    if isinstance(error, NodeproofError) and error.reason in REASONS:
        return error.reason
    return INTERNAL_ERROR
