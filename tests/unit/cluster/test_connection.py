from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nodeproof_operator.cluster.connection import NotConnectable, load_credentials


def write_kubeconfig(path: Path, **user: str) -> Path:
    context = {"cluster": "c", "user": "u"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": context}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(document))
    return path


async def test_reads_server_and_token(tmp_path: Path) -> None:
    found = await load_credentials(write_kubeconfig(tmp_path / "config", token="hush"))
    assert (found.server, found.scheme, found.token) == ("https://127.0.0.1:6443", "Bearer", "hush")


async def test_reads_a_token_file_anew_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    config = write_kubeconfig(tmp_path / "config", tokenFile=str(token))
    token.write_text("first")
    assert (await load_credentials(config)).token == "first"
    token.write_text("second\n")
    assert (await load_credentials(config)).token == "second"


async def test_reads_a_client_certificate(tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).write_text("pem")
    user = {"client-certificate": str(tmp_path / "cert"), "client-key": str(tmp_path / "key")}
    found = await load_credentials(write_kubeconfig(tmp_path / "config", **user))
    assert (found.certificate_path, found.key_path) == (
        str(tmp_path / "cert"),
        str(tmp_path / "key"),
    )


async def test_shows_no_token(tmp_path: Path) -> None:
    found = await load_credentials(write_kubeconfig(tmp_path / "config", token="hush"))
    assert "hush" not in repr(found)


@pytest.mark.parametrize("text", ["", "token: [hush", "[hush]", "users: {}", "\x00hush"])
async def test_refuses_a_kubeconfig_without_quoting_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(NotConnectable) as caught:
        await load_credentials(tmp_path / "config")
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_refuses_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotConnectable, match="kubeconfig"):
        await load_credentials(tmp_path / "none")


async def test_refuses_to_be_in_a_cluster_outside_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NotConnectable, match="ServiceAccount"):
        await load_credentials(None)
