from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from nodeproof_dev.connection import (
    Connection,
    read_kubeconfig,
    write_kubeconfig,
    write_private,
)
from nodeproof_dev.errors import NotPossible

BY_CERTIFICATE = Connection("https://127.0.0.1:1", "the authority", "certificate", "the key")
BY_TOKEN = Connection("https://127.0.0.1:1", "the authority", token="the token")


@pytest.mark.parametrize("connection", [BY_CERTIFICATE, BY_TOKEN])
def test_a_kubeconfig_read_back_is_the_same(tmp_path: Path, connection: Connection) -> None:
    assert read_kubeconfig(write_kubeconfig(tmp_path / "k", connection)) == connection


def test_a_kubeconfig_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "k", BY_TOKEN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_private_file_that_is_replaced_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old, and readable by all")
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_named_in_a_kubeconfig_are_found_beside_it(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "k", BY_TOKEN)
    document = yaml.safe_load(path.read_text())
    document["users"][0]["user"] = {"tokenFile": "token"}
    path.write_text(yaml.safe_dump(document))
    (tmp_path / "token").write_text("the token\n")
    assert read_kubeconfig(path) == BY_TOKEN


def test_a_kubeconfig_that_needs_a_plugin_is_refused(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "k", BY_TOKEN)
    document = yaml.safe_load(path.read_text())
    document["users"][0]["user"] = {"exec": {"command": "login"}}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(NotPossible, match="a user with exec"):
        read_kubeconfig(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "current-context: none\ncontexts: []", "{"])
def test_something_else_than_a_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_text(text)
    with pytest.raises(NotPossible):
        read_kubeconfig(path)


def test_an_absent_kubeconfig_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotPossible):
        read_kubeconfig(tmp_path / "absent")


def test_secrets_are_not_shown() -> None:
    assert "the key" not in repr(BY_CERTIFICATE)
    assert "the token" not in repr(BY_TOKEN)


def test_an_impersonated_identity_is_stated_in_headers() -> None:
    headers = BY_TOKEN.impersonating("system:node:n1", ("system:nodes", "others")).headers()
    assert headers == [
        ("Authorization", "Bearer the token"),
        ("Impersonate-User", "system:node:n1"),
        ("Impersonate-Group", "system:nodes"),
        ("Impersonate-Group", "others"),
    ]
