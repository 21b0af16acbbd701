from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nodeproof.sevsnp.products import Product
from nodeproof.sevsnp.simulator.authority import SimulatedAuthority
from nodeproof.sevsnp.simulator.processor import SimulatedMachine, SimulatedProcessor
from nodeproof.unavailability import CAUSES, Cause
from nodeproof_agent.doctor.command import Choose, run
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.providers import PlatformEvidence, Provider
from nodeproof_agent.settings import Hardware, Simulated
from unit.agent.doctor_machines import KEY_LOST, FakeMachine, in_container, plain_guest, snp_guest


@pytest.fixture(scope="module")
def simulated() -> SimulatedMachine:
    now = datetime.now(UTC)
    authority = SimulatedAuthority.create(Product.GENOA, now)
    return SimulatedMachine.launch(SimulatedProcessor.create(authority, now=now))


@dataclass
class FakeProvider:
    """Gives one report, or fails."""

    evidence: PlatformEvidence | None = None
    failure: Exception | None = None
    asked: bytes = b""
    name: str = "configfs-tsm"

    def boot_id(self) -> str:
        raise AssertionError

    def attest(self, report_data: bytes) -> PlatformEvidence:
        self.asked = report_data
        if self.failure:
            raise self.failure
        assert self.evidence
        return self.evidence


@pytest.fixture
def provider(simulated: SimulatedMachine) -> FakeProvider:
    evidence = PlatformEvidence(simulated.attest(bytes(64)), simulated.certificate_table())
    return FakeProvider(evidence)


def never(_: Hardware | Simulated) -> Provider:
    pytest.fail("nobody asked for a report")


def ask(made: FakeMachine, *flags: str, choose: Choose = never) -> tuple[int, str]:
    return run(
        flags, made.environment, made.machine(), choose=choose, random=lambda size: b"x" * size
    )


def ask_json(made: FakeMachine, *flags: str, choose: Choose = never) -> Any:
    code, answer = ask(made, "--output", "json", *flags, choose=choose)
    found = json.loads(answer)
    assert (code == 0) is found["evidence"]
    return found


def test_a_good_machine_is_zero(tmp_path: Path) -> None:
    code, answer = ask(snp_guest(tmp_path))
    assert code == 0
    assert answer.startswith("EVIDENCE CAN BE HAD: configfs-tsm\n")


def test_any_other_is_one(tmp_path: Path) -> None:
    code, answer = ask(plain_guest(tmp_path))
    assert code == 1
    assert answer.startswith("NO EVIDENCE: no SEV-SNP platform (NoPlatform)\n")


@pytest.mark.parametrize(
    "flags",
    [
        ["--provider", "other"],
        ["--vmpl", "4"],
        ["--output", "yaml"],
        ["--provider", "simulated"],
        ["more"],
        ["--operator-url", "https://operator"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_two(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(flags, {})
    assert "nodeproof-agent doctor: error" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(["--help"], {})
    text = " ".join(capsys.readouterr().out.split())
    assert "exit codes: 0 evidence can be had" in text
    assert "costs a request to the firmware" in text


def test_says_the_verdict_then_what_was_found_then_what_to_do(tmp_path: Path) -> None:
    _, answer = ask(plain_guest(tmp_path))
    places = [answer.index(each) for each in ("NO EVIDENCE", "What was found", "What to do next")]
    assert places == sorted(places)


def test_keeps_lines_short(tmp_path: Path) -> None:
    made = snp_guest(tmp_path)
    made.add_log(KEY_LOST + " x" * 200)
    _, answer = ask(made)
    assert max(map(len, answer.splitlines())) <= 100


def test_writes_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    made = snp_guest(tmp_path)
    made.add_log("SEV: Status: \x1b[2J")
    _, answer = ask(made)
    assert "\\x1b[2J" in answer
    assert "\x1b" not in answer


def test_points_to_trying(tmp_path: Path) -> None:
    assert "--try" in ask(snp_guest(tmp_path))[1]
    assert "--try" not in ask(plain_guest(tmp_path / "other"))[1]


def test_takes_flags_from_the_environment(tmp_path: Path) -> None:
    made = snp_guest(tmp_path)
    made.environment = {"NODEPROOF_PROVIDER": "sev-guest"}
    assert ask_json(made)["provider"] == "sev-guest"


def test_looks_where_it_is_told(tmp_path: Path) -> None:
    made = snp_guest(tmp_path)
    made.make("/run/tsm")
    made.add_device("/dev/other")
    answer = ask(made, "--tsm-root", "/run/tsm", "--sev-guest-device", "/dev/other")[1]
    assert "/run/tsm: an entry was made" in answer
    assert "/dev/other can be opened" in answer


def test_json_has_the_layout_that_is_documented(tmp_path: Path) -> None:
    found = ask_json(plain_guest(tmp_path))
    assert list(found) == [
        "schema",
        "evidence",
        "cause",
        "lasting",
        "platform",
        "provider",
        "summary",
        "findings",
        "steps",
        "attempt",
    ]
    assert found["schema"] == "nodeproof.dev/doctor/v1"
    assert found["cause"] == "NoPlatform"
    assert found["lasting"] is True
    assert found["platform"] == "PlainGuest"
    assert found["provider"] is None
    assert found["attempt"] is None
    assert {tuple(each) for each in found["findings"]} == {("topic", "state", "text", "observed")}


def test_json_of_a_good_machine(tmp_path: Path) -> None:
    found = ask_json(snp_guest(tmp_path))
    assert (found["evidence"], found["cause"], found["lasting"]) == (True, None, None)
    assert found["steps"] == []


def test_tries_over_random_data(tmp_path: Path, provider: FakeProvider) -> None:
    chosen: list[Hardware | Simulated] = []

    def choose(wanted: Hardware | Simulated) -> Provider:
        chosen.append(wanted)
        return provider

    ask(snp_guest(tmp_path), "--try", choose=choose)
    assert provider.asked == b"x" * 64
    assert chosen == [Hardware()]


def test_says_what_came_back(tmp_path: Path, provider: FakeProvider) -> None:
    code, answer = ask(snp_guest(tmp_path), "--try", choose=lambda _: provider)
    assert code == 0
    assert "VMPL 0" in answer
    assert "Genoa" in answer
    assert "bootloader=" in answer
    assert "VCEK" in answer
    assert "What to do next" not in answer


def test_says_in_json_what_came_back(tmp_path: Path, provider: FakeProvider) -> None:
    attempt = ask_json(snp_guest(tmp_path), "--try", choose=lambda _: provider)["attempt"]
    assert attempt["cause"] is None
    assert attempt["message"] is None
    assert set(attempt["report"]) == {"version", "product", "model", "vmpl", "reported_tcb"}
    assert attempt["report"]["product"] == "Genoa"
    assert sorted(attempt["certificates"]) == ["ARK", "ASK", "VCEK"]


def test_says_that_no_certificates_came_along(tmp_path: Path, provider: FakeProvider) -> None:
    assert provider.evidence
    provider.evidence = PlatformEvidence(provider.evidence.report)
    _, answer = ask(snp_guest(tmp_path), "--try", choose=lambda _: provider)
    assert "none came along" in answer


def test_a_broken_certificate_table_is_told_beside_the_report(
    tmp_path: Path, provider: FakeProvider
) -> None:
    assert provider.evidence
    provider.evidence = PlatformEvidence(provider.evidence.report, b"\xff" * 24)
    code, answer = ask(snp_guest(tmp_path), "--try", choose=lambda _: provider)
    assert code == 0
    assert "cannot be read: the certificate table has no end" in answer
    assert "Genoa" in answer


def test_a_report_that_cannot_be_read_is_no_evidence(tmp_path: Path) -> None:
    provider = FakeProvider(PlatformEvidence(bytes(1184)))
    found = ask_json(snp_guest(tmp_path), "--try", choose=lambda _: provider)
    assert found["cause"] == "ReportMalformed"
    assert "cannot read" in found["summary"]


def test_what_failed_counts_more_than_what_was_seen(tmp_path: Path) -> None:
    failure = ProviderFailed("busy", cause=Cause.FIRMWARE_BUSY, observed="EBUSY")
    provider = FakeProvider(failure=failure)
    found = ask_json(snp_guest(tmp_path), "--try", choose=lambda _: provider)
    assert found["cause"] == "FirmwareBusy"
    assert found["lasting"] is False
    assert found["attempt"]["message"] == "busy (observed EBUSY)"
    assert found["steps"] == [CAUSES[Cause.FIRMWARE_BUSY].remedy]


def test_a_failure_that_was_foreseen_keeps_the_better_advice(tmp_path: Path) -> None:
    provider = FakeProvider(failure=ProviderFailed("none", cause=Cause.NO_PLATFORM))
    made = plain_guest(tmp_path)
    tried = ask_json(made, "--try", choose=lambda _: provider)
    assert tried["steps"] == ask_json(made)["steps"]


def test_what_is_not_there_is_said_by_who_looked_closer(tmp_path: Path) -> None:
    provider = FakeProvider(failure=ProviderFailed("none", cause=Cause.NO_PLATFORM))
    made = in_container(snp_guest(tmp_path))
    assert ask_json(made, "--try", choose=lambda _: provider)["cause"] == "InterfaceNotMounted"


def test_a_failure_of_another_kind_is_not_swallowed(tmp_path: Path) -> None:
    provider = FakeProvider(failure=ProviderFailed("lost", cause=Cause.KEY_DISABLED))
    made = in_container(snp_guest(tmp_path))
    assert ask_json(made, "--try", choose=lambda _: provider)["cause"] == "KeyDisabled"


def test_a_report_came_whatever_was_seen(tmp_path: Path, provider: FakeProvider) -> None:
    made = plain_guest(tmp_path)
    found = ask_json(made, "--try", choose=lambda _: provider)
    assert found["evidence"] is True
    assert found["provider"] == "configfs-tsm"


def test_a_provider_that_breaks_is_an_answer_too(tmp_path: Path) -> None:
    provider = FakeProvider(failure=RuntimeError("broken"))
    code, answer = ask(snp_guest(tmp_path), "--try", choose=lambda _: provider)
    assert code == 1
    assert "RuntimeError: broken" in answer
    assert "(InternalError)" in answer


def test_the_simulated_platform_needs_nothing_and_proves_nothing(tmp_path: Path) -> None:
    flags = ("--provider", "simulated", "--simulated-machine", str(tmp_path))
    code, answer = ask(plain_guest(tmp_path), *flags)
    assert code == 0
    assert "proves nothing" in answer


def command(*flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "nodeproof_agent", "doctor", *flags],
        capture_output=True,
        text=True,
        check=False,
    )


def test_has_an_answer_for_this_very_machine() -> None:
    done = command("--output", "json")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["evidence"] else 1)
    assert found["evidence"] is (found["cause"] is None)
    assert done.stderr == ""


def test_the_command_asks_the_provider_that_is_chosen(
    tmp_path: Path, simulated: SimulatedMachine
) -> None:
    simulated.save(tmp_path)
    done = command(
        *("--provider", "simulated", "--simulated-machine", str(tmp_path)),
        *("--try", "--output", "json"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["attempt"]["provider"] == "simulated"
    assert "SIMULATED PLATFORM" in done.stderr
