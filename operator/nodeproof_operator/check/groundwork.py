"""Judges what has to be in a cluster before anything of ours can run: CRDs, admission. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nodeproof.policy import VERSION
from nodeproof_operator.check.findings import Finding, failed, names, ok, unreadable, warning
from nodeproof_operator.check.schemas import trouble
from nodeproof_operator.check.seen import Answer
from nodeproof_operator.cluster.errors import ApiError, NotFound
from nodeproof_operator.cluster.kinds import Kind

CRDS = "CRDs"
ADMISSION = "admission"

_APPLY_CRDS = "apply crds/ of this release (chart value crds.enabled), then restart the operator"
_MISSING = "is missing"
_APPLY_ADMISSION = (
    "apply chart (value admissionPolicies.enabled) or deploy/admission.yaml: without them any "
    "account that may patch nodes/status can set our labels"
)


def judge_crds(crds: Mapping[Kind, Answer]) -> Iterator[Finding]:
    """Say which of our kinds the API server does not know as we do."""
    troubles = [each for kind, crd in crds.items() if (each := _crd(kind, crd))]
    yield from troubles
    if not troubles:
        yield ok(CRDS, f"{names(crds)} are served in {VERSION}")


def _crd(kind: Kind, crd: Answer) -> Finding | None:
    if isinstance(crd, NotFound):
        return failed(CRDS, f"{kind} is missing", _APPLY_CRDS)
    if isinstance(crd, ApiError):
        return unreadable(CRDS, crd)
    why = trouble(kind, crd)
    return failed(CRDS, f"{kind} {why}", _APPLY_CRDS) if why else None


def judge_admission(admission: Mapping[str, tuple[Answer, Answer]]) -> Iterator[Finding]:
    """Say which admission policies do not act: all of them may be left out on purpose."""
    troubles = {name: _policy(*pair) for name, pair in admission.items()}
    gone = [name for name, why in troubles.items() if why == _MISSING]
    other = [
        each
        for pair in admission.values()
        for each in pair
        if isinstance(each, ApiError) and not isinstance(each, NotFound)
    ]
    if other:
        yield unreadable(ADMISSION, other[0])
    elif len(gone) == len(admission):
        yield warning(ADMISSION, "none of our policies is there", _APPLY_ADMISSION)
    elif any(troubles.values()):
        wrong = names(f"{name} {why}" for name, why in troubles.items() if why)
        yield failed(ADMISSION, wrong, _APPLY_ADMISSION)
    else:
        yield ok(ADMISSION, f"{names(admission)} refuse what they should")


def _policy(policy: Answer, binding: Answer) -> str:
    """Return why a policy does not act, empty if it does."""
    if isinstance(policy, ApiError):
        return _MISSING
    if isinstance(binding, ApiError):
        return "is not bound"
    if "Deny" not in (binding["spec"].get("validationActions") or ()):
        return "does not deny"
    warnings = ((policy.get("status") or {}).get("typeChecking") or {}).get("expressionWarnings")
    return "has expressions that the API server does not understand" if warnings else ""
