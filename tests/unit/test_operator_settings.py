from __future__ import annotations

from pathlib import Path

import pytest

from fakes.simulated import authority
from nodeproof.sevsnp.products import Product
from nodeproof_operator.intake.tls_files import TLSFiles
from nodeproof_operator.settings import Address, parse


@pytest.fixture
def ark(tmp_path: Path) -> Path:
    path = tmp_path / "ark.pem"
    path.write_bytes(authority(Product.MILAN).ark)
    return path


def test_without_flags_nothing_simulated_counts() -> None:
    settings = parse([], {})
    assert settings.simulated_anchors == ()
    assert settings.kubeconfig is None
    assert settings.listen == Address("0.0.0.0", 8443)  # noqa: S104 - a pod's own address


def test_a_simulated_root_is_marked_as_such(ark: Path) -> None:
    (anchor,) = parse([f"--allow-simulated={ark}"], {}).simulated_anchors
    assert anchor.simulated
    assert anchor.product is Product.MILAN


@pytest.mark.parametrize("content", [b"", b"no certificate"])
def test_refuses_a_simulated_root_that_is_none(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ark.pem"
    path.write_bytes(content)
    with pytest.raises(SystemExit):
        parse([f"--allow-simulated={path}"], {})
    assert "--allow-simulated" in capsys.readouterr().err


def test_takes_flags_from_the_environment(ark: Path) -> None:
    settings = parse(
        [],
        {
            "NODEPROOF_NAMESPACE": "elsewhere",
            "NODEPROOF_AGENT_NAMESPACE": "beside",
            "NODEPROOF_METRICS_LISTEN": "127.0.0.1:1234",
            "NODEPROOF_ADVERTISE_NAME": "a.example,b.example",
            "NODEPROOF_ALLOW_SIMULATED": str(ark),
        },
    )
    assert settings.namespace == "elsewhere"
    assert settings.agent_namespace == "beside"
    assert settings.metrics_listen == Address("127.0.0.1", 1234)
    assert settings.advertise_names == ("a.example", "b.example")
    assert len(settings.simulated_anchors) == 1


def test_a_flag_wins_over_the_environment() -> None:
    settings = parse(["--namespace=flag"], {"NODEPROOF_NAMESPACE": "environment"})
    assert settings.namespace == "flag"


def test_a_flag_replaces_a_list_of_the_environment() -> None:
    settings = parse(["--advertise-name=b"], {"NODEPROOF_ADVERTISE_NAME": "a"})
    assert settings.advertise_names == ("b",)


@pytest.mark.parametrize("address", ["8443", ":8443", "host:", "host:port", "host:65536"])
def test_refuses_an_address_that_is_none(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([f"--listen={address}"], {})
    assert "HOST:PORT" in capsys.readouterr().err


def test_listens_on_an_ipv6_address() -> None:
    assert parse(["--listen=[::1]:8443"], {}).listen == Address("::1", 8443)


@pytest.mark.parametrize("flag", ["--tls-certificate=a.pem", "--tls-key=a.key"])
def test_refuses_half_a_certificate(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([flag], {})
    assert "go together" in capsys.readouterr().err


def test_asks_amds_own_key_service_unless_told_otherwise() -> None:
    settings = parse([], {})
    assert settings.kds_url == "https://kdsintf.amd.com"
    assert (settings.kds_ca_file, settings.kds_proxy) == (None, None)


def test_fetches_nothing_where_the_network_is_off() -> None:
    assert parse(["--kds-url=off"], {}).kds_url is None
    assert parse([], {"NODEPROOF_KDS_URL": "off"}).kds_url is None


def test_asks_a_mirror_of_the_environment() -> None:
    settings = parse(
        [],
        {
            "NODEPROOF_KDS_URL": "https://mirror.example:8443/amd",
            "NODEPROOF_KDS_CA_FILE": "/etc/mirror/ca.crt",
            "NODEPROOF_KDS_PROXY": "http://user:secret@proxy.example:3128",
        },
    )
    assert settings.kds_url == "https://mirror.example:8443/amd"
    assert settings.kds_ca_file == Path("/etc/mirror/ca.crt")
    assert settings.kds_proxy == "http://user:secret@proxy.example:3128"
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "on",
        "http://kdsintf.amd.com",
        "kdsintf.amd.com",
        "https://",
        "https://[::1",
        "https://host:port",
        "https://host:65536",
        "https://user:secret@host",
        "https://host/?query",
        "https://host/#fragment",
    ],
)
def test_refuses_a_key_service_that_is_not_https(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([f"--kds-url={url}"], {})
    assert "https://HOST" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["proxy", "socks5://user:secret@proxy:1080", "http://"])
def test_refuses_a_proxy_that_is_none_and_keeps_its_password(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([f"--kds-proxy={url}"], {})
    told = capsys.readouterr().err
    assert "http://HOST:PORT" in told
    assert "secret" not in told


def test_a_certificate_in_files_comes_with_its_key() -> None:
    files = parse(["--tls-certificate=c", "--tls-key=k", "--tls-ca-file=a"], {}).tls_files
    assert files == TLSFiles(Path("c"), Path("k"), Path("a"))


def test_a_ca_file_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--tls-ca-file=a"], {})
    assert "goes with --tls-certificate" in capsys.readouterr().err
