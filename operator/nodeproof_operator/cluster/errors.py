"""What the API server answers when it does not do what was asked.

The tree, with the HTTP statuses behind it::

    ApiError
    ├── NotFound        404
    ├── Conflict        409  a resourceVersion that is no longer the newest, or a name taken
    ├── Invalid         422  also a uid precondition or a JSON Patch test that does not hold
    ├── Forbidden       401, 403
    ├── Throttled       429  come back after ``retry_after_seconds``
    └── Unreachable     no answer in time, no connection, or a 5xx
        └── AnswerTooLarge
"""

from __future__ import annotations

from nodeproof.errors import NodeproofError


class ApiError(NodeproofError):
    """A request to the API server that did not succeed.

    Attributes:
        status: The HTTP status, 0 when there was no answer.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, observed=str(status) if status else "no answer")
        self.status = status


class NotFound(ApiError):
    """The object, or its kind, does not exist."""


class Conflict(ApiError):
    """Somebody else wrote first."""


class Invalid(ApiError):
    """The server refused the content; a uid or a JSON Patch ``test`` that fails comes as this."""


class Forbidden(ApiError):
    """This identity may not do that, or admission refused it."""


class Throttled(ApiError):
    """The server asks for patience.

    Attributes:
        retry_after_seconds: When to come back.
    """

    def __init__(self, message: str, *, status: int, retry_after_seconds: float) -> None:
        super().__init__(message, status=status)
        self.retry_after_seconds = retry_after_seconds


class Unreachable(ApiError):
    """No usable answer: a timeout, a lost connection, or a server error."""


class AnswerTooLarge(Unreachable):
    """An answer longer than is read; a list can be had in smaller pages."""
