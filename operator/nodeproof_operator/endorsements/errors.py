"""What AMD's key distribution service (KDS) answers when it does not hand out what was asked for.

::

    NodeproofError
    └── KDSError
        ├── NotOffered          404: no such chip, firmware or product; it says so in outages too
        ├── Throttled           429
        ├── Unavailable         no answer in time, no connection, no trust, or any other status
        │   └── CAFileUnusable  there is nothing to recognise the server by
        └── AnswerTooLarge      more bytes than such a thing can have
"""

from __future__ import annotations

from nodeproof.errors import NodeproofError


class KDSError(NodeproofError):
    """A request to the KDS that brought nothing.

    Attributes:
        retry_after_seconds: When the server wants to be asked again; None if it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        expected: str = "",
        observed: str = "",
    ) -> None:
        super().__init__(message, expected=expected, observed=observed)
        self.retry_after_seconds = retry_after_seconds


class NotOffered(KDSError):
    """The KDS does not have it."""


class Throttled(KDSError):
    """The KDS is asked too often, by us or by others behind the same address."""


class Unavailable(KDSError):
    """No usable answer: a timeout, no connection, an untrusted server, a redirect, a 5xx."""


class CAFileUnusable(Unavailable):
    """A CA file that is missing or holds no certificate: the server cannot be recognised."""


class AnswerTooLarge(KDSError):
    """An answer longer than what was asked for can be; the rest of it was not read."""
