from __future__ import annotations

import pytest

from nodeproof_operator.check.settings import parse


def test_the_service_is_that_of_the_operators_namespace() -> None:
    settings = parse(["--namespace=elsewhere"], {})
    assert settings.place.url == "https://nodeproof-operator.elsewhere.svc:8443"
    assert settings.place.agent_namespace == "nodeproof-agents"


def test_flags_may_come_from_the_environment() -> None:
    assert parse([], {"NODEPROOF_WAIT": "30"}).wait_seconds == 30.0


@pytest.mark.parametrize("wrong", ["--wait=-1", "--operator-url=http://plain", "--what"])
def test_refuses_what_it_does_not_know(wrong: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([wrong], {})
    assert ended.value.code == 2


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    told = capsys.readouterr().out
    assert "helm test" in told
    assert "exit status" in told
