from __future__ import annotations

import pytest

from nodeproof_operator.cleanup.settings import parse


def test_keeps_results_unless_told_otherwise() -> None:
    assert not parse([], {}).delete_results
    assert parse(["--results=delete"], {}).delete_results


def test_flags_may_come_from_the_environment() -> None:
    settings = parse([], {"NODEPROOF_RESULTS": "delete", "NODEPROOF_NAMESPACE": "elsewhere"})
    assert (settings.delete_results, settings.namespace) == (True, "elsewhere")


def test_no_two_runs_have_the_same_identity() -> None:
    assert parse([], {}).identity != parse([], {}).identity


@pytest.mark.parametrize("wrong", ["--results=some", "--timeout=-1", "--timeout=soon", "--what"])
def test_refuses_what_it_does_not_know(wrong: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([wrong], {})
    assert ended.value.code == 2


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    told = capsys.readouterr().out
    assert "takes the Lease first" in told
    assert "exit status" in told
