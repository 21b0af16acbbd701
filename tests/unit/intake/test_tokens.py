from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeproof.errors import TokenMissing, TokenRejected
from nodeproof_operator.intake.tokens import MAX_TOKEN_LENGTH, bearer_token, check_shape

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def token(**claims: Any) -> str:
    payload = {"aud": ["nodeproof"], "exp": NOW.timestamp() + 600} | claims
    encoded = urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode()
    return f"header.{encoded}.signature"


def check(text: str) -> None:
    check_shape(text, "nodeproof", NOW)


def test_reads_a_bearer_token() -> None:
    assert bearer_token("Bearer abc") == "abc"


def test_the_scheme_has_no_case() -> None:
    assert bearer_token("bearer abc") == "abc"


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer"])
def test_a_header_without_a_bearer_token(header: str | None) -> None:
    with pytest.raises(TokenMissing):
        bearer_token(header)


def test_accepts_our_audience_and_a_future_expiry() -> None:
    check(token())


def test_accepts_a_single_audience_that_is_no_list() -> None:
    check(token(aud="nodeproof"))


def test_refuses_another_audience_naming_both() -> None:
    with pytest.raises(TokenRejected) as caught:
        check(token(aud=["https://kubernetes.default.svc"]))
    assert caught.value.expected == "nodeproof"
    assert caught.value.observed == "https://kubernetes.default.svc"


def test_refuses_an_expired_token() -> None:
    with pytest.raises(TokenRejected, match="expired"):
        check(token(exp=NOW.timestamp() - 61))


def test_leaves_a_token_that_has_just_expired_to_the_api_server() -> None:
    check(token(exp=NOW.timestamp() - 30))


@pytest.mark.parametrize(
    "text",
    ["", "abc", "a.b", "a.b.c.d", "a.!.c", "a.e30.c", "a.bnVsbA.c", "a. .c", "ä.e30.c", "a.e.c"],
)
def test_refuses_what_is_no_token_of_a_service_account(text: str) -> None:
    with pytest.raises(TokenRejected):
        check(text)


def test_refuses_an_enormous_token() -> None:
    with pytest.raises(TokenRejected):
        check(token(padding="x" * MAX_TOKEN_LENGTH))


def test_survives_deeply_nested_claims() -> None:
    nested = urlsafe_b64encode(b"[" * 2000).rstrip(b"=").decode()
    with pytest.raises(TokenRejected):
        check(f"a.{nested}.c")


def test_an_error_never_quotes_the_token() -> None:
    secret = urlsafe_b64encode(b'{"aud": "secret-claims"').rstrip(b"=").decode()
    with pytest.raises(TokenRejected) as caught:
        check(f"a.{secret}.c")
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_refused_with_our_own_error(text: str) -> None:
    with pytest.raises(TokenRejected):
        check(text)


@given(st.binary(max_size=200))
def test_any_payload_is_refused_with_our_own_error(payload: bytes) -> None:
    encoded = urlsafe_b64encode(payload).rstrip(b"=").decode()
    with pytest.raises(TokenRejected):
        check(f"a.{encoded}.c")
