"""What intake refuses on its own account, beside the errors that all of nodeproof shares.

::

    NodeproofError
    ├── Overloaded
    │   └── RateLimited          one caller asks too often
    └── MessageError
        └── RequestTooSlow       a body that does not arrive in time
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nodeproof.errors import MessageError, Overloaded
from nodeproof_operator.cluster.errors import ApiError, Throttled

API_RETRY_SECONDS = 5
"""When an agent comes again after the API server gave no answer."""


class RateLimited(Overloaded):
    """A caller that asks more often than it may."""


class RequestTooSlow(MessageError):
    """A body that did not arrive in time."""


@contextmanager
def deferred_on_api_trouble() -> Iterator[None]:
    """Turn the API server's trouble into ``Overloaded``: it is no verdict on anybody.

    Raises:
        Overloaded: Something in the block raised an ApiError.
    """
    try:
        yield
    except ApiError as error:
        seconds = API_RETRY_SECONDS
        if isinstance(error, Throttled):
            seconds = max(seconds, round(error.retry_after_seconds))
        raise Overloaded(
            "the API server did not do what was asked of it", retry_after_seconds=seconds
        ) from error
