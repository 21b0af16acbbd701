"""One line in the log for each attempt, with its node and without its token."""

from __future__ import annotations

from structlog.testing import LogCapture

from fakes.intake import Agent


async def test_accepted_evidence_is_logged_with_its_node_and_signer(
    agent: Agent, log: LogCapture
) -> None:
    await agent.attest()
    line = log.entries[-1]
    assert line["event"] == "evidence accepted"
    assert (line["node"], line["node_uid"], line["signer"], line["sequence"]) == (
        "node-1",
        "node-uid-1",
        "Simulated",
        1,
    )


async def test_refused_evidence_is_logged_with_its_facts(agent: Agent, log: LogCapture) -> None:
    answered = await agent.attest(boot_id="another-boot")
    line = log.entries[-1]
    assert (line["event"], line["node"], line["reason"], line["path"]) == (
        "request refused",
        "node-1",
        "ReportDataMismatch",
        "/v1/evidence",
    )
    assert (line["expected"], line["observed"]) == (
        answered.refusal.expected,
        answered.refusal.observed,
    )


async def test_one_requests_node_is_not_logged_for_the_next_on_its_connection(
    agent: Agent, log: LogCapture
) -> None:
    await agent.attest()
    await agent.post("/v1/evidence", b"{}")
    assert "node" not in log.entries[-1]


async def test_no_line_shows_a_token(agent: Agent, log: LogCapture) -> None:
    await agent.attest()
    await agent.attest(boot_id="another-boot")
    assert len(log.entries) >= 2
    assert agent.token not in repr(log.entries)
