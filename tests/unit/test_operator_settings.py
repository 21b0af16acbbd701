from __future__ import annotations

from pathlib import Path

import pytest

from fakes.simulated import authority
from nodeproof.sevsnp.products import Product
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
            "NODEPROOF_METRICS_LISTEN": "127.0.0.1:1234",
            "NODEPROOF_ADVERTISE_NAME": "a.example,b.example",
            "NODEPROOF_ALLOW_SIMULATED": str(ark),
        },
    )
    assert settings.namespace == "elsewhere"
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
