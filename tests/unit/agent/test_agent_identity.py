from __future__ import annotations

from pathlib import Path

import pytest

from nodeproof_agent.errors import TokenUnusable
from nodeproof_agent.identity import MAX_TOKEN_BYTES, read_credentials
from unit.agent.agent_standins import OWN, another, token_of, token_with


def test_reads_node_and_pod_from_the_token(token_file: Path) -> None:
    assert read_credentials(token_file).identity == OWN


def test_keeps_the_token_as_it_is_but_for_the_last_newline(token_file: Path) -> None:
    token_file.write_text(token_of() + "\n")
    assert read_credentials(token_file).token == token_of()


def test_reads_the_file_anew(token_file: Path) -> None:
    read_credentials(token_file)
    token_file.write_text(token_of(another(node_uid="node-uid-2")))
    assert read_credentials(token_file).identity.node_uid == "node-uid-2"


def test_shows_no_token_in_its_repr(token_file: Path) -> None:
    assert token_of() not in repr(read_credentials(token_file))


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TokenUnusable, match="observed FileNotFoundError"):
        read_credentials(tmp_path / "none")


def test_refuses_a_file_above_the_limit(token_file: Path) -> None:
    token_file.write_text(token_of() + " " * MAX_TOKEN_BYTES)
    with pytest.raises(TokenUnusable, match="cannot be read"):
        read_credentials(token_file)


@pytest.mark.parametrize("text", ["", "word", "two.parts", "a.b.c.d", "a.b\r\n.c", "a..c"])
def test_refuses_what_is_no_token(token_file: Path, text: str) -> None:
    token_file.write_text(text)
    with pytest.raises(TokenUnusable, match="holds no token"):
        read_credentials(token_file)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        [],
        {"kubernetes.io": {"pod": {"name": "p", "uid": "u"}}},
        {"kubernetes.io": {"pod": {"name": "p", "uid": "u"}, "node": {"name": "no-uid"}}},
        {"kubernetes.io": {"node": {"name": "n", "uid": "u"}}},
    ],
)
def test_refuses_a_token_that_is_bound_to_no_pod_on_a_node(
    token_file: Path, claims: object
) -> None:
    token_file.write_text(token_with(claims))
    with pytest.raises(TokenUnusable, match=r"kubernetes\.io\.node"):
        read_credentials(token_file)


def test_refuses_a_payload_that_is_not_json(token_file: Path) -> None:
    token_file.write_text("aaaa.AAAAA.cccc")
    with pytest.raises(TokenUnusable):
        read_credentials(token_file)


@pytest.mark.parametrize("content", [b"\xffsecret.a.b", b"secret.AAAA.cccc", b"secret"])
def test_errors_do_not_quote_the_file(token_file: Path, content: bytes) -> None:
    token_file.write_bytes(content)
    with pytest.raises(TokenUnusable) as caught:
        read_credentials(token_file)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
