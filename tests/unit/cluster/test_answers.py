from __future__ import annotations

import pytest

from nodeproof_operator.cluster.answers import (
    MAX_MESSAGE_LENGTH,
    MAX_RETRY_SECONDS,
    decode,
    error_from,
)
from nodeproof_operator.cluster.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Throttled,
    Unreachable,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ApiError),
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (413, ApiError),
        (422, Invalid),
        (429, Throttled),
        (500, Unreachable),
        (503, Unreachable),
    ],
)
def test_gives_each_status_its_error(status: int, kind: type[ApiError]) -> None:
    error = error_from("GET /x", status, {}, b"")
    assert type(error) is kind
    assert error.status == status


def test_keeps_the_words_of_the_server() -> None:
    error = error_from("GET /x", 403, {}, b'{"message": "nodes is forbidden"}')
    assert "nodes is forbidden" in str(error)


def test_keeps_few_words_of_a_talkative_server() -> None:
    error = error_from("GET /x", 403, {}, b'{"message": "' + b"x" * 10_000 + b'"}')
    assert len(error.message) < MAX_MESSAGE_LENGTH + 20


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"message": 7}', b"\xff", b"[" * 100_000])
def test_survives_a_refusal_of_any_shape(body: bytes) -> None:
    assert isinstance(error_from("GET /x", 404, {}, body), NotFound)


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [("7", 7.0), ("", 1.0), ("soon", 1.0), ("-1", 1.0), ("86400", MAX_RETRY_SECONDS)],
)
def test_comes_back_when_the_server_says(stated: str, seconds: float) -> None:
    error = error_from("GET /x", 429, {"Retry-After": stated}, b"")
    assert isinstance(error, Throttled)
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b'{"a":' * 100_000])
def test_refuses_an_answer_that_is_no_object(body: bytes) -> None:
    with pytest.raises(Unreachable):
        decode("GET /x", body)


def test_decodes_an_object() -> None:
    assert decode("GET /x", b'{"kind": "Node"}') == {"kind": "Node"}
