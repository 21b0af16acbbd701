"""What can be wrong with a key server: each fault gives another answer than the usual one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from itertools import repeat

from nodeproof_dev.kds_answers import KDSAnswer, found, refused

Usual = Callable[[], KDSAnswer]
"""Makes the answer that would be right at this moment."""

Fault = Callable[[Usual], KDSAnswer]
"""Returns what is answered instead of the usual; may take its time."""

GIGABYTE = 1 << 30

_PIECE = bytes(64 * 1024)


class Hang:
    """Answers nothing until it is released, then as usual."""

    def __init__(self) -> None:
        self._released = threading.Event()

    def __call__(self, usual: Usual) -> KDSAnswer:
        """Wait."""
        self._released.wait()
        return usual()

    def release(self) -> None:
        """Let everybody who waits have an answer."""
        self._released.set()


def status(code: HTTPStatus) -> Fault:
    """Answer with a status alone, such as 500 in an outage."""
    return lambda _: refused(code)


def throttle(retry_after: str = "") -> Fault:
    """Answer 429, with the header Retry-After if given."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    return lambda _: refused(HTTPStatus.TOO_MANY_REQUESTS, headers)


def redirect(url: str) -> Fault:
    """Send everybody to another place."""
    return lambda _: refused(HTTPStatus.FOUND, {"Location": url})


def flood(*, stated: bool) -> Fault:
    """Send a gigabyte of zeros; its length is stated beforehand, or not."""
    pieces = GIGABYTE // len(_PIECE)

    def flooded(_: Usual) -> KDSAnswer:
        length = GIGABYTE if stated else None
        return KDSAnswer(HTTPStatus.OK, body=repeat(_PIECE, pieces), length=length)

    return flooded


def truncate(usual: Usual) -> KDSAnswer:
    """State the whole length, send the first half, and hang up."""
    answer = usual()
    body = b"".join(answer.body)
    return replace(answer, body=(body[: len(body) // 2],), length=len(body))


def substitute(body: bytes) -> Fault:
    """Answer well, with another file."""
    return lambda _: found(body, "vcek.crt")
