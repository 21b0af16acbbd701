"""The answer, for a person at a terminal and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from nodeproof.errors import printable
from nodeproof.unavailability import CAUSES
from nodeproof_agent.doctor.diagnosis import Diagnosis
from nodeproof_agent.doctor.examination import Platform
from nodeproof_agent.doctor.findings import Finding
from nodeproof_agent.doctor.trying import Attempt

SCHEMA = "nodeproof.dev/doctor/v1"
"""Names the layout of the JSON: fields may be added to it, none changes or goes."""

_WIDTH = 100
_STATE = 9
_TOPIC = 14
_HINT = "Nothing was asked of the firmware yet: --try asks it for one report."

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """All that is to be said.

    Attributes:
        platform: The kind of machine.
        diagnosis: The verdict.
        findings: What was found.
        attempt: What came of asking for a report; None if nobody did.
    """

    platform: Platform
    diagnosis: Diagnosis
    findings: tuple[Finding, ...]
    attempt: Attempt | None


def render_text(answer: Answer) -> str:
    """Return the answer in lines: the verdict, what was found, what to do next."""
    return "".join(f"{printable(line)}\n" for line in _lines(answer))


def render_json(answer: Answer) -> str:
    """Return the answer as one JSON object, ASCII, indented by two."""
    return json.dumps(as_json(answer), indent=2) + "\n"


def as_json(answer: Answer) -> JSON:
    """Return the answer as a JSON object; what there is not, is null."""
    diagnosis, cause = answer.diagnosis, answer.diagnosis.cause
    return {
        "schema": SCHEMA,
        "evidence": cause is None,
        "cause": cause.value if cause else None,
        "lasting": CAUSES[cause].lasting if cause else None,
        "platform": answer.platform.value,
        "provider": diagnosis.provider or None,
        "summary": diagnosis.summary,
        "findings": [
            {
                "topic": each.topic,
                "state": each.state.value,
                "text": each.text,
                "observed": list(each.observed),
            }
            for each in answer.findings
        ],
        "steps": list(diagnosis.steps),
        "attempt": _attempt_json(answer.attempt) if answer.attempt else None,
    }


def _attempt_json(attempt: Attempt) -> JSON:
    statement = attempt.statement
    return {
        "provider": attempt.provider,
        "cause": attempt.failure.cause.value if attempt.failure else None,
        "message": str(attempt.failure or attempt.unread or "") or None,
        "report": None
        if statement is None
        else {
            "version": statement.report.version,
            "product": statement.model.product.value if statement.model else None,
            "model": statement.model.name if statement.model else None,
            "vmpl": statement.report.vmpl,
            "reported_tcb": str(statement.reported_tcb),
        },
        "certificates": list(attempt.certificates),
    }


def _lines(answer: Answer) -> Iterator[str]:
    yield from _verdict(answer.diagnosis)
    yield ""
    yield "What was found:"
    yield ""
    for finding in answer.findings:
        yield from _finding(finding)
    if answer.attempt:
        yield ""
        yield from _attempt(answer.attempt)
    yield from _next(answer)


def _verdict(diagnosis: Diagnosis) -> Iterator[str]:
    cause = diagnosis.cause
    if cause is None:
        yield f"EVIDENCE CAN BE HAD: {diagnosis.provider}"
    else:
        yield f"NO EVIDENCE: {CAUSES[cause].title} ({cause.value})"
    yield ""
    yield from wrap(diagnosis.summary, _WIDTH)


def _finding(finding: Finding) -> Iterator[str]:
    indent = " " * (2 + _STATE + _TOPIC)
    first = f"  {finding.state:<{_STATE}}{finding.topic:<{_TOPIC}}"
    yield from _wrapped(finding.text, first, indent)
    for observed in finding.observed:
        yield from _wrapped(observed, f"{indent}| ", f"{indent}| ")


def _attempt(attempt: Attempt) -> Iterator[str]:
    yield f"One report was asked for, through {attempt.provider}:"
    yield ""
    if attempt.failure:
        yield from _wrapped(f"{attempt.failure} ({attempt.failure.cause})", "  ", "  ")
    if attempt.statement:
        statement, model = attempt.statement, attempt.statement.model
        report = statement.report
        yield f"  {'report':<{_TOPIC}}version {report.version}, VMPL {report.vmpl}"
        yield f"  {'processor':<{_TOPIC}}{_processor(attempt) if model else 'not named in it'}"
        yield f"  {'reported TCB':<{_TOPIC}}{statement.reported_tcb}"
        came = ", ".join(attempt.certificates) or "none came along: the operator fetches them"
        yield f"  {'certificates':<{_TOPIC}}{came}"
    if attempt.unread:
        yield from _wrapped(f"cannot be read: {attempt.unread}", "  ", "  ")


def _processor(attempt: Attempt) -> str:
    model = attempt.statement.model if attempt.statement else None
    return f"{model.name} (endorsed as {model.product})" if model else ""


def _next(answer: Answer) -> Iterator[str]:
    steps = answer.diagnosis.steps
    if answer.diagnosis.cause is None and answer.attempt is None:
        steps = (*steps, _HINT)
    if not steps:
        return
    yield ""
    yield "What to do next:"
    yield ""
    for number, step in enumerate(steps, 1):
        yield from _wrapped(step, f"  {number}. ", "     ")


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
