from __future__ import annotations

from pathlib import Path

import pytest

from nodeproof_agent.providers import configfs_tsm, sev_guest
from nodeproof_agent.settings import (
    DEFAULT_SEV_GUEST_DEVICE,
    DEFAULT_TSM_ROOT,
    Address,
    Hardware,
    Settings,
    Simulated,
    parse,
)

ENVIRONMENT = {
    "NODEPROOF_OPERATOR_URL": "https://operator:8443",
    "NODEPROOF_TOKEN_FILE": "/run/token",
    "NODEPROOF_CA_FILE": "/run/ca.crt",
    "NODEPROOF_PROVIDER": "simulated",
    "NODEPROOF_SIMULATED_MACHINE": "/run/machine",
}


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in ENVIRONMENT.items() if key != name}


def test_reads_every_flag() -> None:
    flags = (
        "--operator-url https://operator:8443 --token-file /run/token --ca-file /run/ca.crt "
        "--provider simulated --simulated-machine /run/machine --metrics-address 127.0.0.1:0 "
        "--log-format json --log-level debug"
    )
    assert parse(flags.split(), {}) == Settings(
        operator_url="https://operator:8443",
        token_file=Path("/run/token"),
        ca_file=Path("/run/ca.crt"),
        provider=Simulated(Path("/run/machine")),
        metrics_address=Address("127.0.0.1", 0),
        log_format="json",
        log_level="debug",
    )


def test_reads_the_environment() -> None:
    environment = {
        **ENVIRONMENT,
        "NODEPROOF_METRICS_ADDRESS": "127.0.0.1:1",
        "NODEPROOF_LOG_LEVEL": "error",
        "NODEPROOF_LOG_FORMAT": "text",
    }
    assert parse([], environment) == Settings(
        operator_url="https://operator:8443",
        token_file=Path("/run/token"),
        ca_file=Path("/run/ca.crt"),
        provider=Simulated(Path("/run/machine")),
        metrics_address=Address("127.0.0.1", 1),
        log_format="text",
        log_level="error",
    )


def test_a_flag_wins_over_its_variable() -> None:
    settings = parse(["--operator-url", "https://flag"], ENVIRONMENT)
    assert settings.operator_url == "https://flag"


def test_an_empty_variable_is_an_unset_one() -> None:
    settings = parse([], {**ENVIRONMENT, "NODEPROOF_METRICS_ADDRESS": ""})
    assert settings.metrics_address == Address("0.0.0.0", 9464)  # noqa: S104 - the default


def test_drops_the_slash_at_the_end_of_the_url() -> None:
    assert parse(["--operator-url", "https://operator/"], ENVIRONMENT).operator_url == (
        "https://operator"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://operator",
        "operator:8443",
        "https://",
        "https://operator/path",
        "https://user:password@operator",
        "https://operator?x",
        "https://operator#x",
        "https://operator:99999",
        "https://[::1",
    ],
)
def test_refuses_a_url_that_is_not_https_and_a_host(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(["--operator-url", url], ENVIRONMENT)
    assert "argument --operator-url" in capsys.readouterr().err


REQUIRED = {
    each: ENVIRONMENT[each]
    for each in ("NODEPROOF_OPERATOR_URL", "NODEPROOF_TOKEN_FILE", "NODEPROOF_CA_FILE")
}


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_names_what_is_missing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse([], without(name))
    flag = name.removeprefix("NODEPROOF_").replace("_", "-").lower()
    assert f"required: --{flag}" in capsys.readouterr().err


def test_refuses_the_simulated_provider_without_a_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse([], without("NODEPROOF_SIMULATED_MACHINE"))
    assert "proves nothing" in capsys.readouterr().err


def test_refuses_a_simulated_machine_without_the_provider_chosen() -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(["--simulated-machine", "/run/machine"], without("NODEPROOF_PROVIDER"))


def test_looks_for_the_platform_itself_unless_told() -> None:
    assert parse([], REQUIRED).provider == Hardware(
        "auto", Path("/sys/kernel/config/tsm/report"), Path("/dev/sev-guest"), None
    )


def test_looks_where_the_providers_look() -> None:
    assert Path(DEFAULT_TSM_ROOT) == configfs_tsm.ROOT
    assert Path(DEFAULT_SEV_GUEST_DEVICE) == sev_guest.DEVICE


@pytest.mark.parametrize("provider", ["auto", "configfs-tsm", "sev-guest"])
def test_reads_every_flag_of_the_hardware(provider: str) -> None:
    flags = f"--provider {provider} --tsm-root /tsm --sev-guest-device /device --vmpl 3"
    assert parse(flags.split(), REQUIRED).provider == Hardware(
        provider, Path("/tsm"), Path("/device"), 3
    )


@pytest.mark.parametrize("level", ["-1", "4", "x", "²", "1.0"])
def test_refuses_a_privilege_level_that_is_none(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse([f"--vmpl={level}"], REQUIRED)
    assert "argument --vmpl" in capsys.readouterr().err


def test_refuses_a_privilege_level_of_the_simulated_platform() -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(["--vmpl", "0"], ENVIRONMENT)


def test_never_falls_into_the_simulated_platform(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(["--provider", "auto"], ENVIRONMENT)
    assert "proves nothing" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["9464", ":9464", "host:", "host:x", "host:65536", "host:²"])
def test_refuses_an_address_without_host_or_port(address: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(["--metrics-address", address], ENVIRONMENT)


def test_reads_an_ipv6_address() -> None:
    settings = parse(["--metrics-address", "[::1]:9464"], ENVIRONMENT)
    assert settings.metrics_address == Address("::1", 9464)


@pytest.mark.parametrize("flag", ["--provider", "--log-format", "--log-level"])
def test_names_the_words_that_a_flag_takes(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse([flag, "other"], ENVIRONMENT)
    assert f"argument {flag}: 'other' is not one of" in capsys.readouterr().err


def test_checks_words_of_the_environment_too() -> None:
    with pytest.raises(SystemExit, match="2"):
        parse([], {**ENVIRONMENT, "NODEPROOF_PROVIDER": "other"})


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse(["--help"], {})
    text = " ".join(capsys.readouterr().out.split())
    assert "NODEPROOF_OPERATOR_URL" in text
    assert "example:" in text
    assert "default 0.0.0.0:9464" in text
